import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { type Ceph, startCeph } from '../../support/ceph-rgw.ts'
import {
  type Fault,
  type FaultRules,
  type S3Call,
  startS3FaultProxy,
} from '../../support/s3-fault-proxy.ts'
import { assertRecovers, servicesOver } from './audit.ts'
import {
  type Change,
  inTurn,
  pushByPatches,
  pushByPost,
  pushByPut,
  pushManifest,
  type Scenario,
} from './pushes.ts'
import { type BucketPlace, openBucketStorage } from './s3-storage.ts'

/** The bytes of two objects pass through the network again and again: few are enough. */
const PART = 100 * 1024
/** Of the client of S3 where calls are to time out; long enough for calls that don't, on a busy machine. */
const SHORT_TIMEOUT_MS = 1500

const config = randomBytes(300)
const layer = randomBytes(70_000)
const large = randomBytes(2.2 * PART)
const blobs = [pushByPost('config', config), pushByPost('layer', layer)]

const byPut: Scenario = { given: [], change: pushByPut('a blob by POST and PUT', layer) }
const inParts: Scenario = { given: [], change: pushByPost('a blob in parts', large) }
const inChunks: Scenario = {
  given: [],
  change: pushByPatches('a blob in chunks', layer, [1000, 60_000, 9000]),
}
const image: Scenario = { given: blobs, change: pushManifest('image', 'v1', [config, layer]) }
const everything = inTurn('an image', [
  pushByPatches('layer', large, [1000, large.length - 1000]),
  pushByPost('config', config),
  pushManifest('image', 'v1', [config, large]),
])

/** What the client of S3 gets over by itself, once a call. */
const PASSING: readonly [string, Fault, ((call: S3Call) => boolean)?][] = [
  ['is refused with 503', 'slow-down'],
  ['is refused with 500', 'internal-error'],
  ['is refused with 500 after its effect', 'error-after-effect'],
  ['arrives by half', 'cut-request'],
  ['loses its answer', 'lose-answer'],
  ['has its answer cut', { truncateAfter: 10 }],
  ['is late', { delayMs: 300 }],
  ['is answered by nobody', 'silence', isWrite],
  ['takes effect when its client has given up', { delayMs: 1.5 * SHORT_TIMEOUT_MS }, isWrite],
  ['conflicts with another one', 'conflict', ({ isConditional }) => isConditional],
  ['seems to have lost', 'precondition', ({ isConditional }) => isConditional],
]

/** Every kind of call that changes something, and a push that makes it. */
const KINDS: readonly [string, Scenario, (call: S3Call) => boolean][] = [
  ['state of an upload', inChunks, isWriteTo('/uploads/')],
  ['object of bytes', byPut, isWriteTo('/data/')],
  [
    'beginning of an object in parts',
    inParts,
    ({ method, url }) => method === 'POST' && url.includes('?uploads'),
  ],
  ['part', inParts, ({ method, url }) => method === 'PUT' && url.includes('uploadId=')],
  [
    'completion of an object in parts',
    inParts,
    ({ method, url }) => method === 'POST' && url.includes('uploadId='),
  ],
  ['pointer', byPut, isWriteTo('/blobs/')],
  [
    'removal of objects',
    inChunks,
    ({ method, url }) => method === 'POST' && url.includes('?delete'),
  ],
  ['record', image, isWriteTo('/records/')],
]

const LASTING: readonly [string, Fault][] = [
  ['fails', 'internal-error'],
  ['fails after its effect', 'error-after-effect'],
  ['loses every answer', 'lose-answer'],
  ['fails with a status of 200', 'ok-with-error'],
]

function isWrite({ method }: S3Call): boolean {
  return method === 'PUT' || method === 'POST'
}

function isWriteTo(place: string) {
  return ({ method, url }: S3Call) =>
    method === 'PUT' && url.includes(place) && !url.includes('uploadId=')
}

let ceph: Ceph
let bucket: string
before(async () => {
  ceph = await startCeph({ leastPartBytes: PART })
  bucket = await ceph.createBucket()
})
after(() => ceph.stop())

interface Rules extends FaultRules {
  readonly idleTimeoutMs?: number
}

/** Makes a change through a network with the given rules, and again; returns what it was refused with at first, if it was. */
async function holdTo({ given, change }: Scenario, rules: Rules): Promise<unknown> {
  const { endpoint, credentials } = ceph
  const place = { endpoint, credentials, bucket, prefix: `${randomUUID()}/`, partSize: PART }
  const storage = openBucketStorage(place)
  for (const earlier of given) await earlier.run(servicesOver(storage))
  const refusal = await tryChange(change, place, rules)
  if (refusal === undefined) assert.ok(await change.isSeen(servicesOver(storage)), 'it is lost')
  await assertRecovers(storage, change, storage)
  storage.store.close()
  return refusal
}

async function tryChange(change: Change, place: BucketPlace, rules: Rules): Promise<unknown> {
  const proxy = await startS3FaultProxy(ceph.endpoint, rules)
  const { idleTimeoutMs } = rules
  const through = openBucketStorage({ ...place, endpoint: proxy.url, idleTimeoutMs })
  try {
    await change.run(servicesOver(through))
    return undefined
  } catch (error) {
    assert.equal((error as { code: string }).code, 'STORAGE_FAILED')
    return error
  } finally {
    through.store.close()
    await proxy.stop()
  }
}

describe('a push to S3 over a network', { concurrency: 8, timeout: 900_000 }, () => {
  for (const [what, fault, isMeant = () => true] of PASSING) {
    it(`is taken when every call ${what} once`, async () => {
      const met = new Set<string>()
      const faultOf = (call: S3Call) => {
        const name = `${call.method} ${call.url}`
        if (met.has(name) || !isMeant(call)) return undefined
        met.add(name)
        return fault
      }
      const timing = isMeant === isWrite ? { idleTimeoutMs: SHORT_TIMEOUT_MS } : {}
      assert.ifError(await holdTo(everything, { faultOf, ...timing }))
    })
  }

  for (const [kind, scenario, isOfKind] of KINDS) {
    for (const [what, fault] of LASTING) {
      it(`is kept or refused, and leaves nothing, when a ${kind} ${what} for good`, async () => {
        let hit: string | undefined
        const faultOf = (call: S3Call) => {
          if (isOfKind(call)) hit ??= `${call.method} ${call.url}`
          return hit === `${call.method} ${call.url}` ? fault : undefined
        }
        await holdTo(scenario, { faultOf })
        assert.ok(hit !== undefined, 'no such call was made')
      })
    }
  }
})
