import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { cleanUpContainers } from '#runner/index.ts'
import { containerPaths, isContainerId } from '#runner/layout.ts'
import { optionString } from '#runner/overlay.ts'
import { distinctLowers } from '#runner/overlay.ts'
import {
  type ContainerRecord,
  claimExisting,
  claimNew,
  readRecord,
  writeRecord,
  isMonitored,
} from '#runner/record.ts'
import { rootfsOf } from './support/busybox.ts'
import { tempDir } from '../support/temp-dir.ts'

const RECORD: ContainerRecord = {
  version: 2,
  id: 'x',
  name: 'first',
  createdAt: '2026-01-01T00:00:00.000Z',
  image: 'app:1',
  rootfs: rootfsOf([]),
  options: {},
  runtime: '/usr/sbin/runc',
  runtimeRoot: '/run/dray/runc',
  keeper: 'owner',
  phase: { name: 'created' },
}

describe('a claim', () => {
  it('is on a new directory, and nobody else’s', async (t) => {
    const containers = join(tempDir(t), 'containers')
    const claim = claimNew(containers)
    assert.ok(isContainerId(claim.id))
    assert.equal(claimExisting(containers, claim.id), undefined)
    claim.release()
    const again = claimExisting(containers, claim.id)
    assert.equal(again?.id, claim.id)
    again?.release()
  })

  it('is not on a directory that is gone, or was made anew', async (t) => {
    const containers = join(tempDir(t), 'containers')
    const claim = claimNew(containers)
    rmSync(claim.paths.dir, { recursive: true })
    assert.equal(claimExisting(containers, claim.id), undefined)
    claim.release()
  })
})

describe('the record of a container', () => {
  it('is read as it was written, and replaced at once', async (t) => {
    const { paths, release } = claimNew(join(tempDir(t), 'containers'))
    assert.equal(readRecord(paths), undefined)
    await writeRecord(paths, RECORD)
    await writeRecord(paths, { ...RECORD, name: 'second' })
    assert.deepEqual(readRecord(paths), JSON.parse(JSON.stringify({ ...RECORD, name: 'second' })))
    assert.deepEqual(readdirSync(paths.dir).sort(), ['lock', 'record.json'])
    release()
  })

  it('tells at a glance whether a monitor keeps the container', async (t) => {
    const { paths, release } = claimNew(join(tempDir(t), 'containers'))
    assert.equal(isMonitored(paths), false)
    const named = { labels: { keeper: 'monitor' }, env: ['\n  "keeper": "monitor"'] }
    for (const keeper of ['owner', 'monitor'] as const) {
      await writeRecord(paths, { ...RECORD, keeper, options: named })
      assert.equal(isMonitored(paths), keeper === 'monitor')
    }
    release()
  })

  it('is none when it is empty, as a power cut leaves it', async (t) => {
    const { paths, release } = claimNew(join(tempDir(t), 'containers'))
    writeFileSync(paths.record, '')
    assert.equal(readRecord(paths), undefined)
    release()
  })

  for (const text of ['{', '[]', '{"version":3}', '\xff', JSON.stringify({ ...RECORD, id: 1 })]) {
    it(`is refused, and its container kept, when it says ${JSON.stringify(text.slice(0, 20))}`, async (t) => {
      const root = tempDir(t)
      const { paths, release, id } = claimNew(join(root, 'containers'))
      writeFileSync(paths.record, text, 'latin1')
      release()
      assert.throws(() => readRecord(paths), { code: 'STORE_FAILED' })
      const { removed, failed } = await cleanUpContainers(root)
      assert.deepEqual([removed, failed.map((each) => each.id)], [[], [id]])
    })
  }
})

describe('cleaning up', () => {
  it('does nothing where no container ever was', async (t) => {
    assert.deepEqual(await cleanUpContainers(tempDir(t)), { removed: [], failed: [] })
  })

  it('removes what was abandoned, whatever is in it, and leaves the rest', async (t) => {
    const root = tempDir(t)
    const containers = join(root, 'containers')
    const living = claimNew(containers)
    const dead = claimNew(containers)
    writeFileSync(Buffer.from(`${dead.paths.dir}/\xff\xfe`, 'latin1'), '')
    dead.release()
    const empty = containerPaths(containers, 'a'.repeat(64))
    mkdirSync(empty.dir)
    mkdirSync(join(containers, 'not-a-container'))
    const report = await cleanUpContainers(root)
    assert.deepEqual(report.failed, [])
    assert.deepEqual(report.removed.toSorted(), [dead.id, empty.dir.slice(-64)].sort())
    assert.ok(existsSync(living.paths.lock))
    assert.ok(existsSync(join(containers, 'not-a-container')))
    living.release()
  })
})

describe('the options of an overlay', () => {
  it('name the topmost layer first, each once', () => {
    assert.deepEqual(distinctLowers(['/a', '/b', '/c']), ['/c', '/b', '/a'])
    assert.deepEqual(distinctLowers(['/a', '/b', '/a']), ['/a', '/b'])
  })

  it('are refused when they exceed a page', () => {
    const common = [
      ['upperdir', '/u'],
      ['volatile', true],
    ] as const
    assert.equal(optionString(['/a', '/b'], common), 'lowerdir=/a:/b,upperdir=/u,volatile')
    const many = Array.from({ length: 300 }, (_, index) => `/proc/self/fd/${index + 100}`)
    assert.throws(() => optionString(many, common), { code: 'MOUNT_FAILED' })
  })
})
