/** A pull that kill -9 ends at any moment, and what the next one makes of what it left. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { globSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import { openStore, pullImage } from '#puller/index.ts'
import { mergeRanges, totalLength } from '#puller/transfer/ranges.ts'
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

/** Bytes of the blobs that are noted as whole, or in place already. */
function keptBytes(root: string): number {
  const noted = globSync(join(root, 'ingest/*/ranges')).map((path) =>
    totalLength(
      mergeRanges(
        [...readFileSync(path, 'utf8').matchAll(/^(\d+) (\d+)\n/gm)].map(([, start, end]) => ({
          start: Number(start),
          end: Number(end),
        })),
      ),
    ),
  )
  const whole = IMAGE.layers.filter(
    ({ digest }) => globSync(join(root, 'content/blobs', digest.replace(':', '/'))).length > 0,
  )
  return [...noted, ...whole.map(({ size }) => size)].reduce((sum, bytes) => sum + bytes, 0)
}

describe('dray pull, killed at any moment', { concurrency: 2 }, () => {
  for (let index = 0; index < MOMENTS; index++) {
    const moment = Math.floor(((index + Math.random()) / MOMENTS) * 1.2 * SIZE)
    it(`is completed by the next one: ${index}, at byte ${moment}`, async (t) => {
      const root = tempDir(t)
      const { reference } = await pullAndKill(t, root, moment)
      const kept = keptBytes(root)
      const store = await openStore(root)
      const result = await pullImage(store, reference, { platform: parsePlatform('linux/amd64') })
      assert.ok(result.transferred <= SIZE - kept, `${result.transferred} fetched, ${kept} kept`)
      if (moment > SIZE / 2) assert.ok(result.transferred < SIZE)
      assert.deepEqual(
        [readdirSync(store.layout.ingests), readdirSync(store.layout.staging)],
        [[], []],
      )
      for (const { digest } of IMAGE.layers) {
        assert.equal(
          digestOf(readFileSync(store.pathOf({ digest, size: 0, mediaType: '' }))),
          digest,
        )
      }
      assert.deepEqual(globSync(join(root, 'layers/*/*')).length, 2)
    })
  }
})
