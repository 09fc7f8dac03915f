/** Commands that end before they are done, by kill -9 or Ctrl-C, and what the next one makes of it. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import { importImage, openStore } from '#puller/index.ts'
import { serveImage } from '../support/blob-server.ts'
import { dray, startDray } from '../support/dray.ts'
import { smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'

const MiB = 1024 * 1024

/** Waits until something holds, for 20 seconds at the most. */
async function until(holds: () => boolean, what: string): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    assert.ok(tries < 400, `waited in vain until ${what}`)
    await sleep(50)
  }
}

/** How many bytes of its blobs a pull has noted to be there: lines of start and end. */
function notedBytes(root: string): number {
  const ingests = join(root, 'ingest')
  return (existsSync(ingests) ? readdirSync(ingests) : [])
    .map((name) => join(ingests, name, 'ranges'))
    .filter((file) => existsSync(file))
    .flatMap((file) => readFileSync(file, 'utf8').split('\n').slice(0, -1))
    .map((line) => line.split(' ').map(Number))
    .reduce((sum, [start = 0, end = 0]) => sum + end - start, 0)
}

describe('dray pull', () => {
  const image = smallImage([tarOf({ noise: randomBytes(80 * MiB) })])

  async function pullSlowly(t: TestContext) {
    const server = await serveImage(t, image, {}, { bytesPerSecond: 16 * MiB })
    const root = tempDir(t)
    const child = startDray(['pull', '--root', root, `${server.host}/noise`])
    await until(() => notedBytes(root) >= 16 * MiB, '16 MiB are noted')
    return { root, child }
  }

  it('that was killed is gone on from: what was whole is not fetched again', async (t) => {
    const { root, child } = await pullSlowly(t)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const noted = notedBytes(root)
    assert.equal(
      existsSync(join(root, 'content/blobs')) && readdirSync(join(root, 'content/blobs')).length,
      0,
    )
    // What the killed pull had asked of its server may still be on the way there.
    const fresh = await serveImage(t, image)
    const again = await dray(['pull', '--root', root, `${fresh.host}/noise`])
    assert.equal(again.code, 0, again.stderr)
    const size = image.layers[0]?.size ?? 0
    assert.ok(fresh.sent() < size - noted + MiB, 'it fetched what was noted again')
    assert.deepEqual(
      [readdirSync(join(root, 'ingest')), readdirSync(join(root, 'staging'))],
      [[], []],
    )
  })

  it('that is interrupted says so, exits as a victim of SIGINT, and shows no image', async (t) => {
    const { root, child } = await pullSlowly(t)
    let said = ''
    child.stderr.on('data', (chunk) => {
      said += chunk
    })
    child.kill('SIGINT')
    const [code] = await once(child, 'exit')
    assert.equal(code, 130)
    assert.match(said, /interrupted/)
    const { stdout } = await dray(['images', '--root', root, '--format', 'json'])
    assert.equal(stdout, '')
    assert.deepEqual(readdirSync(join(root, 'staging')), [])
  })
})

describe('dray run', () => {
  async function busybox(t: TestContext): Promise<string> {
    const dir = tempDir(t)
    mkdirSync(join(dir, 'tree/bin'), { recursive: true })
    copyFileSync('/bin/busybox', join(dir, 'tree/bin/busybox'))
    const store = await openStore(join(dir, 'store'))
    await importImage(store, join(dir, 'tree'), parseReference('localhost/busybox'), {
      platform: parsePlatform('linux/amd64'),
    })
    return store.layout.root
  }

  const containers = (root: string) => {
    const dir = join(root, 'containers')
    return existsSync(dir) ? readdirSync(dir).filter((name) => /^[0-9a-f]{64}$/.test(name)) : []
  }
  const mounts = (root: string) =>
    readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(root))
  /** The host's processes with this in their command line. */
  const processes = (word: string) =>
    readdirSync('/proc').filter((pid) => {
      try {
        return /^[0-9]+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(word)
      } catch {
        return false
      }
    })

  async function sleeper(t: TestContext, seconds: string) {
    const root = await busybox(t)
    const child = startDray([
      'run',
      '--rm',
      '--network',
      'none',
      '--root',
      root,
      'localhost/busybox',
      '/bin/busybox',
      'sleep',
      seconds,
    ])
    const running = () => processes(`sleep\0${seconds}`).filter((pid) => pid !== String(child.pid))
    await until(() => running().length > 0 && containers(root).length === 1, 'the container runs')
    await sleep(300)
    return { root, child, running }
  }

  it('that was killed is cleaned up after by the next command, process and mounts included', async (t) => {
    const { root, child, running } = await sleeper(t, '98761')
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.equal(containers(root).length, 1)
    assert.equal((await dray(['images', '--root', root])).code, 0)
    assert.deepEqual([containers(root), mounts(root)], [[], []])
    await until(() => running().length === 0, 'the process of the container is gone')
  })

  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`that gets ${signal} ends the container and leaves nothing`, async (t) => {
      const { root, child, running } = await sleeper(t, signal === 'SIGINT' ? '98762' : '98763')
      child.kill(signal)
      const [exitCode] = await once(child, 'exit')
      assert.ok([code, 137].includes(exitCode), `exit code ${exitCode}`)
      assert.deepEqual([containers(root), mounts(root)], [[], []])
      assert.equal(running().length, 0)
    })
  }
})
