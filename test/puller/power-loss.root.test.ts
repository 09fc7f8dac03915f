/** What the local store says is done, and what is being done to it, when the power goes. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  globSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Descriptor } from '#oci/descriptor.ts'
import { digestOf } from '#oci/digest.ts'
import { drayHere } from '../support/dray-here.ts'
import { startOpenRegistry } from '../support/open-registry.ts'
import { powerDisk } from '../support/power.ts'
import { smallImage, tarOf, writeLayout } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'
import { seed, setOf } from './copy/images.ts'

const KiB = 1024
const IMAGE = smallImage(
  [300, 200, 10].map((size) => tarOf({ [`noise-${size}`]: randomBytes(size * KiB), empty: '' })),
)
const OTHER = smallImage([tarOf({ noise: randomBytes(100 * KiB) })])
/** For each form of layers. */
const MOMENTS = 8
const [LATEST, MADE, MORE] = ['latest:latest', 'made:1', 'more:1'].map(
  (name) => `docker.io/library/${name}`,
) as [string, string, string]

describe('a disk that loses its power', () => {
  it('loses what was not synced: the rename, or else what was renamed', async (t) => {
    const disk = powerDisk(t)
    const at = (name: string) => join(disk.dir, name)
    writeFileSync(at('record'), 'old')
    sync(at('record'))
    const replace = () => {
      writeFileSync(at('new'), 'new')
      renameSync(at('new'), at('record'))
    }
    replace()
    disk.cut()
    disk.restore()
    assert.equal(readFileSync(at('record'), 'utf8'), 'old')
    replace()
    sync(disk.dir)
    disk.cut()
    disk.restore()
    assert.equal(readFileSync(at('record'), 'utf8'), '')
  })
})

function sync(path: string): void {
  const fd = openSync(path, 'r')
  fsyncSync(fd)
  closeSync(fd)
}

/** Commands in order, each with the names that images have after it. */
type Steps = readonly (readonly [args: readonly string[], names: readonly string[]])[]

for (const form of ['dir', 'erofs'] as const) {
  describe(`a local store of form ${form} whose disk loses its power`, () => {
    it('has what a command did that succeeded', async (t) => {
      const { disk, steps, dray, names } = await setUp(t, form)
      const root = join(disk.dir, 'store')
      for (const [args, expected] of steps) {
        await ok(dray(root, args))
        disk.cut()
        disk.restore()
        assert.deepEqual(await names(root), expected, `after ${args.join(' ')}`)
        assert.deepEqual(damageIn(root), [])
      }
      await ok(dray(root, ['system', 'check']))
    })

    it('has each image whole or not at all, at any moment, and goes on', async (t) => {
      const { disk, steps, dray, names } = await setUp(t, form)
      const untilCut = async (root: string) => {
        const failed = async ([args]: Steps[number]) => (await dray(root, args)).code !== 0
        for (const [at, step] of steps.entries()) if (await failed(step)) return at
        return steps.length
      }
      const whole = join(disk.dir, 'whole')
      const started = performance.now()
      assert.equal(await untilCut(whole), steps.length)
      const took = performance.now() - started
      const expected = filesIn(whole)
      for (let moment = 0; moment < MOMENTS; moment++) {
        const root = join(disk.dir, `moment-${moment}`)
        const working = untilCut(root)
        await delay((took * (moment + Math.random())) / MOMENTS)
        disk.cut()
        const done = await working
        disk.restore()
        const seen = await names(root)
        const where = `${done} done at moment ${moment}: ${seen}`
        const [before, after] = [steps[done - 1]?.[1] ?? [], steps[done]?.[1] ?? []]
        assert.ok([before, after].map(String).includes(String(seen)), where)
        assert.deepEqual(damageIn(root), [], where)
        assert.equal(await untilCut(root), steps.length, where)
        assert.deepEqual(filesIn(root), expected, where)
      }
      await ok(dray(whole, ['system', 'check']))
    })
  })
}

async function setUp(t: TestContext, form: string) {
  const { host } = await startOpenRegistry(t)
  await seed(host, 'app', setOf(IMAGE), '1')
  const disk = powerDisk(t)
  const layout = join(tempDir(t), 'layout')
  mkdirSync(layout)
  writeLayout(layout, OTHER)
  const tar = join(tempDir(t), 'tar')
  writeFileSync(tar, tarOf({ file: randomBytes(50 * KiB) }))
  const [app, again] = [`${host}/app:1`, `${host}/app:again`]
  await seed(host, 'app', setOf(IMAGE), 'again')
  const steps: Steps = [
    [['pull', app], [app]],
    [
      ['tag', app, 'more:1'],
      [app, MORE],
    ],
    [['rmi', app], [MORE]],
    [['rmi', 'more:1'], []],
    [['load', '-i', layout], [LATEST]],
    [
      ['import', tar, 'made:1'],
      [LATEST, MADE],
    ],
    [
      ['pull', again],
      [again, LATEST, MADE],
    ],
    [
      ['rmi', 'latest'],
      [again, MADE],
    ],
  ]
  const dray = (root: string, args: readonly string[]) =>
    drayHere(args, { DRAY_ROOT: root, DRAY_LAYER_STORE: form })
  const list = ['images', '--format', '{{.Name}}']
  return {
    ...{ disk, steps, dray },
    names: async (root: string) =>
      (await ok(dray(root, list)))
        .split('\n')
        .filter((name) => name !== '')
        .sort(),
  }
}

/** Digests of what each file of blobs and layers holds. */
function filesIn(root: string): Readonly<Record<string, string>> {
  const paths = globSync(['content/blobs/**', 'layers/**'], { cwd: root })
  const files = paths.sort().filter((path) => statSync(join(root, path)).isFile())
  return Object.fromEntries(files.map((path) => [path, digestOf(readFileSync(join(root, path)))]))
}

/** The name of a file until it is whole. */
const UNFINISHED = /\.[0-9a-f-]{36}$/

/** Blobs that are not what they are called, or that an image lacks, and layers that are not whole. */
function damageIn(root: string): string[] {
  const read = (path: string) => readFileSync(join(root, 'content', path), 'utf8')
  const blob = (digest: string) => `blobs/${digest.replace(':', '/')}`
  const files = filesIn(root)
  const wrong = Object.entries(files)
    .filter(([path]) => path.startsWith('content/') && !UNFINISHED.test(path))
    .filter(([path, digest]) => path !== `content/${blob(digest)}`)
    .map(([path]) => path)
  const { manifests } = JSON.parse(read('index.json'))
  const needed = manifests.flatMap(({ digest }: Descriptor) => {
    const { config, layers } = JSON.parse(read(blob(digest)))
    return [config, ...layers].map((needs: Descriptor) => `content/${blob(needs.digest)}`)
  })
  const missing = needed.filter((path: string) => files[path] === undefined)
  const isEmpty = ([path, digest]: [string, string]) =>
    digest === digestOf(Buffer.alloc(0)) && !UNFINISHED.test(path) && !path.endsWith('/empty')
  const empty = Object.entries(files)
    .filter(isEmpty)
    .map(([path]) => path)
  return [...wrong, ...missing, ...empty]
}

async function ok(running: ReturnType<typeof drayHere>): Promise<string> {
  const { code, stdout, stderr } = await running
  assert.equal(code, 0, stdout + stderr)
  return stdout
}
