/** A pull that kill -9 ends at any moment, and what the next one makes of what it left. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import { openStore, pullImage, type Store } from '#puller/index.ts'
import { totalLength } from '#puller/transfer/ranges.ts'
import { serveImage } from '../support/blob-server.ts'
import { startDray } from '../support/dray.ts'
import { smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'

const MiB = 1024 * 1024
const MOMENTS = 50
const IMAGE = smallImage([
  tarOf({ noise: randomBytes(14 * MiB), text: 'a'.repeat(2 * MiB) }),
  tarOf({ more: randomBytes(6 * MiB) }),
])
const SIZE = IMAGE.layers.reduce((sum, { size }) => sum + size, 0)

/** Starts a pull and kills it: once so many bytes were sent, or, beyond all of them, when it says that it saves. */
async function pullAndKill(t: TestContext, root: string, moment: number) {
  const server = await serveImage(t, IMAGE, {}, { bytesPerSecond: 60 * MiB })
  const reference = `${server.host}/killed`
  const child = startDray(['pull', '--progress', 'json', '--root', root, reference])
  const exit = once(child, 'exit')
  child.stderr.on('data', (line) => {
    if (server.sent() >= moment || String(line).includes('saving')) child.kill('SIGKILL')
  })
  child.stdout.resume()
  await exit
  return { server, reference: parseReference(reference) }
}

/** Bytes of layers that are in place already, or noted as whole. */
function keptBytes({ layout }: Store): number {
  const kept = IMAGE.layers.map(({ digest, size }) => {
    if (existsSync(layout.blob(digest))) return size
    const { ranges } = layout.ingest(digest)
    const noted = existsSync(ranges) ? readFileSync(ranges, 'utf8') : ''
    const lines = [...noted.matchAll(/^(\d+) (\d+)\n/gm)]
    return totalLength(lines.map(([, start, end]) => ({ start: Number(start), end: Number(end) })))
  })
  return kept.reduce((sum, bytes) => sum + bytes, 0)
}

describe('dray pull, killed at any moment', { concurrency: 2, timeout: 900_000 }, () => {
  for (let index = 0; index < MOMENTS; index++) {
    const moment = Math.floor(((index + Math.random()) / MOMENTS) * 1.2 * SIZE)
    it(`is completed by the next one: ${index}, at byte ${moment}`, async (t) => {
      const root = tempDir(t)
      const { reference } = await pullAndKill(t, root, moment)
      const store = await openStore(root)
      const kept = keptBytes(store)
      const result = await pullImage(store, reference, { platform: parsePlatform('linux/amd64') })
      assert.ok(result.transferred <= SIZE - kept, `${result.transferred} fetched, ${kept} kept`)
      if (moment > SIZE / 2) assert.ok(result.transferred < SIZE)
      assert.deepEqual(
        [readdirSync(store.layout.ingests), readdirSync(store.layout.staging)],
        [[], []],
      )
      for (const { digest } of IMAGE.layers) {
        assert.equal(digestOf(readFileSync(store.layout.blob(digest))), digest)
      }
      assert.deepEqual(globSync(join(root, 'layers/*/*')).length, 2)
    })
  }
})
