import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { globSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { type ErrorCode, isDrayError } from '#oci/error.ts'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import { openStore, prepareRootfs, pullImage, type Store } from '#puller/index.ts'
import {
  answerHonestly,
  type BlobRequest,
  type Fault,
  startFaultRegistry,
  writeHead,
} from '../support/fault-registry.ts'
import { smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'

const MiB = 1024 * 1024
const PLATFORM = parsePlatform('linux/amd64')
const NOISE = randomBytes(5 * MiB)
const IMAGE = smallImage([tarOf({ noise: NOISE })])
/** Another blob of the same size. */
const CHANGED = randomBytes(IMAGE.layers[0]?.size ?? 0)
/** Of faults that stall. Elsewhere it would be taken for one on a busy machine, and what a server sent as never sent. */
const STALL_TIMEOUT_MS = 600
const PATIENT_MS = 30_000

const FAULTS: Readonly<Record<string, Fault>> = {
  'cuts the connection before it answers': ({ request }) => request.socket.destroy(),
  'cuts the connection inside the answer': (asked) => {
    writeHead(asked)
    const { response, content, start } = asked
    response.write(content.subarray(start, start + 1000), () => response.destroy())
  },
  'stalls before it answers': () => undefined,
  'stalls inside the answer': (asked) => {
    writeHead(asked)
    asked.response.write(asked.content.subarray(asked.start, asked.start + 1000))
  },
  'answers 500': ({ response }) => response.writeHead(500).end(),
  'answers 503 and when to come back': ({ response }) =>
    response.writeHead(503, { 'retry-after': new Date(Date.now()).toUTCString() }).end(),
  'answers 429 and when to come back': ({ response }) =>
    response.writeHead(429, { 'retry-after': '0' }).end(),
  'speaks no HTTP': ({ request }) => request.socket.end('SSH-2.0-OpenSSH_9.2\r\n'),
  'sends another range than asked for': (asked) => {
    const { content, start, end } = asked
    writeHead(asked, { 'content-range': `bytes ${start + 1}-${end}/${content.length}` })
    asked.response.end(content.subarray(start + 1, end + 1))
  },
  'does not say which range it sends': (asked) => {
    writeHead(asked, { 'content-range': undefined })
    asked.response.end(asked.content.subarray(asked.start, asked.end))
  },
  'announces fewer bytes than the range has': (asked) => {
    writeHead(asked, { 'content-length': asked.end - asked.start - 1 })
    asked.response.end(asked.content.subarray(asked.start, asked.end - 1))
  },
  'sends more bytes than the range has': (asked) => {
    writeHead(asked, { 'content-length': undefined })
    asked.response.end(Buffer.concat([asked.content.subarray(asked.start, asked.end), NOISE]))
  },
  'refuses ranges': (asked) =>
    asked.isRanged ? asked.response.writeHead(416).end() : answerHonestly(asked),
  'ignores ranges': (asked) => answerHonestly(whole(asked)),
  'redirects to where the blob is': ({ request, response }) =>
    request.url?.includes('?') === true
      ? undefined
      : response.writeHead(307, { location: `${request.url}?signature=1` }).end(),
  'sends other bytes': (asked) => answerHonestly(asked, CHANGED),
  'flips a bit': (asked) => {
    const content = Buffer.from(asked.content)
    content[asked.start] = (content[asked.start] ?? 0) ^ 1
    answerHonestly(asked, content)
  },
}

function whole(asked: BlobRequest): BlobRequest {
  return { ...asked, start: 0, end: asked.content.length, isRanged: false }
}

const ENDURED: readonly string[] = [
  'redirects to where the blob is',
  'ignores ranges',
  'refuses ranges',
  // Not even then is a blob as a whole worth less.
  'does not say which range it sends',
]
const DAMAGE: readonly string[] = ['sends other bytes', 'flips a bit']

interface Case {
  readonly when: string
  readonly isHit: (count: number) => boolean
  /** How a pull ends: undefined is well. */
  readonly endsWith: (fault: string) => ErrorCode | readonly ErrorCode[] | undefined
}

const CASES: readonly Case[] = [
  {
    when: 'to the first request',
    isHit: (count) => count === 0,
    endsWith: (fault) => (DAMAGE.includes(fault) ? 'CONTENT_MISMATCH' : undefined),
  },
  {
    when: 'to a later request',
    isHit: (count) => count === 2,
    endsWith: (fault) => (DAMAGE.includes(fault) ? 'CONTENT_MISMATCH' : undefined),
  },
  {
    when: 'always',
    isHit: () => true,
    endsWith(fault) {
      if (ENDURED.includes(fault)) return undefined
      return ['CONTENT_MISMATCH', 'REGISTRY_UNREACHABLE', 'REGISTRY_FAILED']
    },
  },
  {
    when: 'to every second request',
    isHit: (count) => count % 2 === 1,
    endsWith: (fault) => (DAMAGE.includes(fault) ? 'CONTENT_MISMATCH' : undefined),
  },
]

/** Nothing visible may have a wrong byte, nothing half-made may be left. */
async function checkStore(store: Store, isPulled: boolean): Promise<void> {
  for (const path of globSync(join(store.dir, 'blobs/*/*'))) {
    assert.equal(digestOf(readFileSync(path)), `sha256:${basename(path)}`)
  }
  assert.deepEqual(readdirSync(store.layout.staging), [])
  assert.equal((await store.images()).length, isPulled ? 1 : 0)
  const trees = globSync(join(store.layout.root, 'layers/*/*/tree/noise'))
  if (!isPulled) assert.deepEqual(trees, [])
}

async function setUp(
  t: TestContext,
  faultOf: (count: number) => Fault | undefined,
  { tries = 8, stallTimeoutMs = PATIENT_MS } = {},
) {
  let isHealthy = false
  const server = await startFaultRegistry(t, IMAGE, (count, asked) =>
    isHealthy || asked.request.url?.includes('?') ? undefined : faultOf(count),
  )
  const store = await openStore(tempDir(t), { layerStore: 'dir' })
  const reference = parseReference(`${server.host}/app`)
  const pull = () =>
    pullImage(store, reference, {
      platform: PLATFORM,
      stallTimeoutMs,
      retry: { tries, baseDelayMs: 5 },
    })
  const heal = () => {
    isHealthy = true
  }
  return { server, store, reference, pull, heal }
}

describe('a pull from a registry', { concurrency: 8 }, () => {
  for (const [what, fault] of Object.entries(FAULTS)) {
    for (const { when, isHit, endsWith } of CASES) {
      const expected = endsWith(what)
      it(`that ${what} ${when} ends ${expected === undefined ? 'well' : 'with an error'}`, async (t) => {
        const { store, reference, pull, heal } = await setUp(
          t,
          (count) => (isHit(count) ? fault : undefined),
          {
            tries: isHit(0) && isHit(1) ? 2 : 8,
            stallTimeoutMs: what.startsWith('stalls') ? STALL_TIMEOUT_MS : PATIENT_MS,
          },
        )
        const error: unknown = await pull().then(
          () => undefined,
          (reason: unknown) => reason,
        )
        if (expected === undefined) assert.equal(error, undefined)
        else assert.ok(isDrayError(error, ...[expected].flat()), String(error))
        await checkStore(store, error === undefined)
        heal()
        await pull()
        await checkStore(store, true)
        assert.deepEqual(readdirSync(store.layout.ingests), [])
        const { lowerDirs } = await prepareRootfs(store, reference, { platform: PLATFORM })
        assert.ok(readFileSync(join(lowerDirs[0] ?? '', 'noise')).equals(NOISE))
      })
    }
  }

  it('whose blob changes midway ends with an error, and with nothing of either visible', async (t) => {
    const { store, pull, heal } = await setUp(t, (count) =>
      count < 2 ? undefined : (asked) => answerHonestly(asked, CHANGED),
    )
    await assert.rejects(pull(), { code: 'CONTENT_MISMATCH' })
    await checkStore(store, false)
    heal()
    await pull()
    await checkStore(store, true)
  })
})
