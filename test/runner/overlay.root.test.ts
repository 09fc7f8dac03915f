import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { mountPointsUnder } from '#runner/mountinfo.ts'
import { mountOverlay, type Overlay } from '#runner/overlay.ts'
import { unmount } from '#runner/sys.ts'
import { tempDir } from '../support/temp-dir.ts'
import { describeTree } from '../support/tree.ts'

type Api = Overlay['api']

function overlayOf(t: TestContext, count: number, api: Api, name = 'layer'): Overlay {
  let target = ''
  t.after(() => {
    if (target !== '') unmount(target)
  })
  const dir = tempDir(t)
  target = join(dir, 'merged')
  for (const each of ['upper', 'work', 'merged']) mkdirSync(join(dir, each))
  const lowerDirs = Array.from({ length: count }, (_, index) => {
    const lower = join(dir, `${name}-${index}`)
    mkdirSync(lower)
    writeFileSync(join(lower, 'top'), String(index))
    writeFileSync(join(lower, `file-${index}`), '')
    return lower
  })
  const [upper, work] = [join(dir, 'upper'), join(dir, 'work')]
  return { lowerDirs, upper, work, target, volatile: true, api }
}

const WAYS: readonly (readonly [string, Api, number])[] = [
  ['by layer', undefined, 500],
  ['by mount(2)', 'page', 150],
]

for (const [way, api, most] of WAYS) {
  describe(`an overlay mounted ${way}`, () => {
    for (const count of [1, 2, most]) {
      it(`stacks ${count} layers, the last on top, and writes into none`, (t) => {
        const overlay = overlayOf(t, count, api)
        const before = overlay.lowerDirs.map((dir) => describeTree(dir))
        mountOverlay(overlay)
        assert.equal(readdirSync(overlay.target).length, count + 1)
        assert.equal(readFileSync(join(overlay.target, 'top'), 'utf8'), String(count - 1))
        writeFileSync(join(overlay.target, 'top'), 'written')
        assert.equal(readFileSync(join(overlay.upper, 'top'), 'utf8'), 'written')
        assert.deepEqual(
          overlay.lowerDirs.map((dir) => describeTree(dir)),
          before,
        )
      })
    }

    it('takes names with a meaning in mount options, and long ones', (t) => {
      const overlay = overlayOf(t, 3, api, `a,b:c\\d "e" ${'long'.repeat(55)}`)
      mountOverlay(overlay)
      assert.equal(readFileSync(join(overlay.target, 'top'), 'utf8'), '2')
    })

    it('takes one layer twice', (t) => {
      const overlay = overlayOf(t, 2, api)
      const [first = '', second = ''] = overlay.lowerDirs
      mountOverlay({ ...overlay, lowerDirs: [first, second, first] })
      assert.equal(readFileSync(join(overlay.target, 'top'), 'utf8'), '0')
      assert.equal(readdirSync(overlay.target).length, 3)
    })

    it('fails with a reason and mounts nothing', async (t) => {
      const overlay = overlayOf(t, 1, api)
      const missing = { ...overlay, lowerDirs: [join(overlay.target, '../missing')] }
      assert.throws(() => mountOverlay(missing), {
        code: 'MOUNT_FAILED',
        message: /\/missing is gone: dray system check --repair/,
      })
      assert.deepEqual(mountPointsUnder(overlay.target), [])
    })
  })
}

describe('an overlay', () => {
  it('takes 1 to 500 layers', (t) => {
    const overlay = overlayOf(t, 501, undefined)
    assert.throws(() => mountOverlay(overlay), { code: 'MOUNT_FAILED' })
    assert.throws(() => mountOverlay({ ...overlay, lowerDirs: [] }), { code: 'MOUNT_FAILED' })
  })

  it('of too many layers for one page of options says what to do', (t) => {
    const overlay = overlayOf(t, 300, 'page')
    assert.throws(() => mountOverlay(overlay), { code: 'MOUNT_FAILED', message: /6\.8/ })
  })
})

describe('unmounting', () => {
  it('of what is not mounted is no error', (t) => {
    unmount(tempDir(t))
  })
})
