/** kill -9 at fifty moments of a pull and of a run whose layers are mounted: what the next command makes of it. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeTar } from '#puller/tar/writer.ts'
import { serveImage } from '../support/blob-server.ts'
import { dray, startDray } from '../support/dray.ts'
import { drayHere } from '../support/dray-here.ts'
import { smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'

const MiB = 1024 * 1024
const KILLS = 25

async function busyboxTar(t: TestContext): Promise<Buffer> {
  const tree = join(tempDir(t), 'tree')
  mkdirSync(join(tree, 'bin'), { recursive: true })
  copyFileSync('/bin/busybox', join(tree, 'bin/busybox'))
  return Buffer.concat(await Array.fromAsync(writeTar(tree)))
}

/** Three layers; the second one needs a fix-up, so that a pull mounts them too. */
async function serve(t: TestContext) {
  const tars = [
    await busyboxTar(t),
    tarOf({ 'bin/more': 'more' }),
    tarOf({ noise: randomBytes(4 * MiB) }),
  ]
  const server = await serveImage(t, smallImage(tars))
  return { root: tempDir(t), image: `${server.host}/noise:1` }
}

const list = (dir: string) => (existsSync(dir) ? readdirSync(dir) : [])

/** Everything that must not be left once a command has run after a crash. */
function leftovers(root: string): string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  return [
    ...mounts.filter((line) => line.includes(root)),
    ...list(join(root, 'staging')),
    ...list(join(root, 'mounts')).filter((name) => name !== 'lock'),
    ...list(join(root, 'containers')).filter((name) => /^[0-9a-f]{64}$/.test(name)),
  ]
}

/** Layers of the store that are not what their diffID says, or not complete. */
function halfLayers(root: string): string[] {
  const dir = join(root, 'layers/sha256')
  return list(dir).filter((hex) => {
    const names = list(join(dir, hex))
    if (names.toSorted().join() !== 'blobs,image,layer.json,tar') return true
    JSON.parse(readFileSync(join(dir, hex, 'layer.json'), 'utf8'))
    const tar = readFileSync(join(dir, hex, 'tar'))
    return createHash('sha256').update(tar).digest('hex') !== hex
  })
}

/** Runs a command for so long, kills it, and lets the next command find what is left. */
async function killAfter(ms: number, root: string, args: readonly string[]): Promise<void> {
  const child = startDray(args)
  const exited = once(child, 'exit')
  await Promise.race([sleep(ms), exited])
  child.kill('SIGKILL')
  await exited
  assert.deepEqual(halfLayers(root), [])
  const next = await drayHere(['images', '--root', root])
  assert.equal(next.code, 0, next.stderr)
  assert.deepEqual([next.stderr, leftovers(root)], ['', []])
}

/** How long a command takes when nobody kills it. */
async function duration(args: readonly string[]): Promise<number> {
  const started = performance.now()
  const { code, stderr } = await dray(args)
  assert.equal(code, 0, stderr)
  return performance.now() - started
}

describe('kill -9', { timeout: 900_000 }, () => {
  it(`at ${KILLS} moments of a pull leaves no mount and no half layer, and the next pull completes`, async (t) => {
    const { root, image } = await serve(t)
    const pull = (into: string) => ['pull', '--layer-store', 'erofs', '--root', into, image]
    const whole = await duration(pull(tempDir(t)))
    for (let at = 1; at <= KILLS; at++) {
      // A store of its own, now and then: the moments of a first pull are different ones.
      const into = at % 3 === 0 ? root : tempDir(t)
      await killAfter((whole * at) / KILLS, into, pull(into))
    }
    const last = await dray(pull(root))
    assert.equal(last.code, 0, last.stderr)
    assert.deepEqual([halfLayers(root), leftovers(root)], [[], []])
  })

  it(`at ${KILLS} moments of a run leaves nothing mounted once the next command has run`, async (t) => {
    const { root, image } = await serve(t)
    const run = (...command: readonly string[]) => [
      ...[
        'run',
        '--rm',
        '--layer-store',
        'erofs',
        '--root',
        root,
        image,
        '/bin/busybox',
        ...command,
      ],
    ]
    await duration(run('true'))
    const whole = (await duration(run('true'))) * 1.2
    for (let at = 1; at <= KILLS; at++) {
      await killAfter((whole * at) / KILLS, root, run('sleep', '60'))
    }
    const last = await dray(run('cat', '/bin/more'))
    assert.deepEqual([last.code, last.stdout], [0, 'more'], last.stderr)
    assert.deepEqual([halfLayers(root), leftovers(root)], [[], []])
  })
})
