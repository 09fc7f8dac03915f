import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { Storage } from '#registry/storage/open-storage.ts'
import { createS3BlobDriver } from '#registry/storage/s3/blob-driver.ts'
import { type S3Layout, s3Layout } from '#registry/storage/s3/layout.ts'
import { type ObjectStore, openObjectStore } from '#registry/storage/s3/object-store.ts'
import { createS3RecordDriver } from '#registry/storage/s3/record-driver.ts'
import { type Ceph, startCeph } from '../../support/ceph-rgw.ts'
import {
  type Fault,
  type FaultRules,
  type S3Call,
  startS3FaultProxy,
} from '../../support/s3-fault-proxy.ts'
import {
  assertLegal,
  assertNoRubbish,
  assertPointers,
  EVERYTHING_MS,
  servicesOver,
} from './audit.ts'
import {
  inTurn,
  pushByPatches,
  pushByPost,
  pushByPut,
  pushManifest,
  type Scenario,
} from './pushes.ts'

const MiB = 1024 * 1024
const SIZES = { partSize: 5 * MiB, partsPerSegment: 2 }
/** Of the client of S3 where calls are to time out; long enough for calls that don't, on a busy machine. */
const SHORT_TIMEOUT_MS = 1500

const config = randomBytes(300)
const layer = randomBytes(70_000)
const large = randomBytes(11 * MiB)
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
  ceph = await startCeph()
  bucket = await ceph.createBucket()
})
after(() => ceph.stop())

interface Rules extends FaultRules {
  readonly idleTimeoutMs?: number
}

interface View extends Storage {
  readonly store: ObjectStore
}

function open(layout: S3Layout, endpoint: string, idleTimeoutMs?: number): View {
  const { credentials } = ceph
  const options = { bucket, endpoint, credentials, region: 'us-east-1', pathStyle: true }
  const store = openObjectStore({ ...options, idleTimeoutMs })
  const content = createS3BlobDriver(store, layout, { sizes: SIZES })
  return { store, content, records: createS3RecordDriver(store, layout) }
}

/** Makes a change through a network with the given rules; returns what it was refused with, if it was. */
async function tryChange({ given, change }: Scenario, view: View, layout: S3Layout, rules: Rules) {
  for (const earlier of given) await earlier.run(servicesOver(view))
  const proxy = await startS3FaultProxy(ceph.endpoint, rules)
  const through = open(layout, proxy.url, rules.idleTimeoutMs)
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

async function holdTo(scenario: Scenario, rules: Rules): Promise<unknown> {
  const layout = s3Layout(`${randomUUID()}/`)
  const view = open(layout, ceph.endpoint)
  const { change } = scenario
  const refusal = await tryChange(scenario, view, layout, rules)
  const services = servicesOver(view)
  if (refusal === undefined) assert.ok(await change.isSeen(services), 'it is lost')
  await assertPointers(view.store, layout, view.content)
  await assertLegal(view)
  await change.run(services)
  assert.ok(await change.isSeen(services), 'a second try is lost')
  for (let i = 0; i < 2; i++) await view.content.expireUploads(EVERYTHING_MS)
  assert.ok(await change.isSeen(services), 'expiry took it')
  await assertNoRubbish(view.store, layout)
  view.store.close()
  return refusal
}

describe('a push to S3 over a network', { concurrency: 8 }, () => {
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
