import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf, parseDigest } from '#oci/digest.ts'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import {
  holdLayers,
  openStore,
  prepareRootfs,
  pullImage,
  type Store,
  unmountUnused,
} from '#puller/index.ts'
import { mountOverlay, unmountIdle } from '#puller/mounting.ts'
import { mountOverlay as mountWritable } from '#runner/overlay.ts'
import { afterTest } from '../../support/after.ts'
import { serveImage } from '../../support/blob-server.ts'
import { smallImage, tarOf } from '../../support/small-image.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../runner/support/run.ts'

const KILLS = 10
const MOUNT_BY_LOOP = join(import.meta.dirname, 'mount-by-loop.ts')
const PLATFORM = parsePlatform('linux/amd64')

/** A store of form erofs with one image, and the image's lower directories. */
async function storeOf(t: TestContext, ...tars: readonly Buffer[]) {
  const server = await serveImage(t, smallImage(tars))
  const store = await openStore(tempDir(t), { layerStore: 'erofs' })
  afterTest(t, () => unmountUnused(store.layout))
  const reference = parseReference(`${server.host}/a:1`)
  await pullImage(store, reference, { platform: PLATFORM })
  const { lowerDirs } = await prepareRootfs(store, reference, { platform: PLATFORM })
  return { store, lowerDirs, first: lowerDirs[0] ?? '' }
}

/** The layers that are mounted, and the names that are left of them. */
function mounted({ layout }: Store): { readonly mounts: number; readonly names: string[] } {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  const names = existsSync(layout.mounts)
    ? readdirSync(layout.mounts).filter((name) => name !== 'lock')
    : []
  return { mounts: lines.filter((line) => line.includes(` ${layout.mounts}/`)).length, names }
}

const NOTHING = { mounts: 0, names: [] }

/** Keeps a lower directory open in a process of its own, which is told by its end of standard input to end. */
async function holdElsewhere(dir: string) {
  const child = spawn('sh', ['-c', 'exec 3<"$0" && echo held && read end', dir])
  await once(child.stdout, 'data')
  return child
}

describe('layers of form erofs', () => {
  it('are mounted though their record is damaged, and not without their files', async (t) => {
    const { store, lowerDirs, first } = await storeOf(t, tarOf({ file: 'content' }))
    const { record, image } = store.layout.layer(digestOf(tarOf({ file: 'content' })))
    const whole = readFileSync(record, 'utf8')
    const damaged = {
      'cut off': whole.slice(0, -1),
      empty: '',
      'all zeros': '\0'.repeat(whole.length),
      null: 'null',
      'of another kind': '[]',
      'of another version': whole.replace('"erofs"', '"squashfs"'),
      'half of fs-verity': whole.replace(/}$/, ',"verity":{"tar":"00"}}'),
    }
    for (const [how, text] of Object.entries(damaged)) {
      assert.notEqual(text, whole, how)
      writeFileSync(record, text)
      const held = await holdLayers(store.layout, lowerDirs)
      assert.equal(readFileSync(join(first, 'file'), 'utf8'), 'content', how)
      await held.release()
    }
    rmSync(image)
    await assert.rejects(holdLayers(store.layout, lowerDirs), {
      code: 'STORE_FAILED',
      message: /dray system check --repair/,
    })
    assert.deepEqual(mounted(store), NOTHING)
  })

  it('are not mounted when their record has a fs-verity that their files have not', async (t) => {
    const { store, lowerDirs } = await storeOf(t, tarOf({ file: 'content' }))
    const { record } = store.layout.layer(digestOf(tarOf({ file: 'content' })))
    const whole = readFileSync(record, 'utf8')
    for (const digest of ['', 'no digest', '0'.repeat(64)]) {
      const verity = JSON.stringify({ tar: digest, image: digest })
      writeFileSync(record, whole.replace(/}$/, `,"verity":${verity}}`))
      await assert.rejects(holdLayers(store.layout, lowerDirs), {
        code: 'STORE_FAILED',
        message: /has lost its fs-verity.*dray system check --repair/,
      })
    }
    assert.deepEqual(mounted(store), NOTHING)
  })

  it('are kept as two files, and mounted only while they are held', async (t) => {
    const { store, lowerDirs, first } = await storeOf(t, tarOf({ hello: 'lower' }))
    const [layer = ''] = readdirSync(join(store.layout.layers, 'sha256'))
    const files = readdirSync(join(store.layout.layers, 'sha256', layer))
    assert.deepEqual(files.toSorted(), ['blobs', 'image', 'layer.json', 'tar'])
    assert.deepEqual(mounted(store), NOTHING)
    const held = await holdLayers(store.layout, lowerDirs)
    assert.equal(readFileSync(join(first, 'hello'), 'utf8'), 'lower')
    await held.release()
    assert.deepEqual(mounted(store), NOTHING)
  })

  it('are mounted once, however many hold them, at once or in turn', async (t) => {
    const { store, lowerDirs, first } = await storeOf(t, tarOf({ a: '1' }), tarOf({ b: '2' }))
    const layers = lowerDirs.filter((dir) => dir.startsWith(store.layout.mounts)).length
    assert.equal(layers, 2)
    const holds = await Promise.all(
      Array.from({ length: 20 }, () => holdLayers(store.layout, lowerDirs)),
    )
    assert.equal(mounted(store).mounts, layers)
    for (const held of holds.slice(1)) await held.release()
    assert.equal(readFileSync(join(first, 'a'), 'utf8'), '1')
    await holds[0]?.release()
    assert.deepEqual(mounted(store), NOTHING)
  })

  it('stay while another process holds them, and are unmounted once it was killed', async (t) => {
    const { store, lowerDirs, first } = await storeOf(t, tarOf({ a: '1' }))
    const held = await holdLayers(store.layout, lowerDirs)
    const other = await holdElsewhere(first)
    await held.release()
    assert.equal(mounted(store).mounts, 1)
    other.kill('SIGKILL')
    await once(other, 'exit')
    await unmountUnused(store.layout)
    assert.deepEqual(mounted(store), NOTHING)
  })

  for (const [how, mount] of [
    ['named', (dirs: readonly string[], target: string) => mountOverlay(dirs, target)],
    ['named by descriptors', mountByDescriptors],
  ] as const) {
    it(`stay while an overlay has them among its lower directories, ${how}`, async (t) => {
      const { store, lowerDirs } = await storeOf(t, tarOf({ a: '1' }), tarOf({ b: '2' }))
      const held = await holdLayers(store.layout, lowerDirs)
      const target = join(store.layout.root, 'merged')
      mkdirSync(target)
      mount(lowerDirs, target)
      await held.release()
      assert.equal(mounted(store).mounts, 2)
      unmountIdle(target)
      await unmountUnused(store.layout)
      assert.deepEqual(mounted(store), NOTHING)
    })
  }

  it('of which one is gone are not held at all', async (t) => {
    const { store, lowerDirs } = await storeOf(t, tarOf({ a: '1' }))
    const gone = store.layout.mount(digestOf(Buffer.from('gone')))
    await assert.rejects(holdLayers(store.layout, [...lowerDirs, gone]), { code: 'STORE_FAILED' })
    assert.deepEqual(mounted(store), NOTHING)
  })

  it(`are freed with their loop devices after kill -9 at ${KILLS} moments of mounting them`, async (t) => {
    const { store, first } = await storeOf(t, tarOf({ a: '1' }))
    const [hex = ''] = readdirSync(join(store.layout.layers, 'sha256'))
    const { dir, tar, image } = store.layout.layer(parseDigest(`sha256:${hex}`))
    for (let at = 0; at < KILLS; at++) {
      mkdirSync(first, { recursive: true })
      const child = spawn(process.execPath, [MOUNT_BY_LOOP, image, tar, first])
      // The first time is slow: it loads what the others have at hand.
      for (let seen = 0; seen < 3; seen += String((await once(child.stdout, 'data'))[0]).length);
      await sleep(at)
      child.kill('SIGKILL')
      await once(child, 'exit')
      await unmountUnused(store.layout)
      assert.deepEqual(mounted(store), NOTHING)
      // Whoever looks at new devices, as udev does, keeps one for a moment.
      const isFree = () => loopFiles().every((file) => !file.startsWith(dir))
      await until('no loop device stays', isFree, 10_000)
    }
  })

  it('make a stack of 500, the most that overlay takes', async (t) => {
    const tars = Array.from({ length: 500 }, (_, at) => tarOf({ [`d/f${at}`]: String(at) }))
    const { store, lowerDirs } = await storeOf(t, ...tars.slice(0, 499))
    const held = await holdLayers(store.layout, lowerDirs)
    const [upper, work, target] = ['upper', 'work', 'merged'].map((name) => {
      const dir = join(store.layout.root, name)
      mkdirSync(dir)
      return dir
    }) as [string, string, string]
    mountWritable({ lowerDirs, upper, work, target, volatile: true })
    try {
      assert.equal(readdirSync(join(target, 'd')).length, 499)
      assert.equal(readFileSync(join(target, 'd/f300'), 'utf8'), '300')
      assert.equal(statSync(join(target, 'd')).mode & 0o777, 0o755)
    } finally {
      unmountIdle(target)
      await held.release()
    }
    assert.deepEqual(mounted(store), NOTHING)
  })
})

/** The files that loop devices stand for. */
function loopFiles(): string[] {
  return readdirSync('/sys/block')
    .map((name) => join('/sys/block', name, 'loop/backing_file'))
    .map((path) => {
      try {
        return readFileSync(path, 'utf8')
      } catch {
        return '' // another kind of device, or freed by now
      }
    })
}

function mountByDescriptors(dirs: readonly string[], target: string): void {
  const [upper, work] = [`${target}-upper, with a comma`, `${target}-work, with a comma`]
  for (const dir of [upper, work]) mkdirSync(dir)
  mountWritable({ lowerDirs: dirs, upper, work, target, volatile: true, api: 'page' })
}
