import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Storage } from '#registry/storage/open-storage.ts'
import { createS3BlobDriver } from '#registry/storage/s3/blob-driver.ts'
import { s3Layout } from '#registry/storage/s3/layout.ts'
import type { ObjectStore } from '#registry/storage/s3/object-store.ts'
import { createS3RecordDriver } from '#registry/storage/s3/record-driver.ts'
import {
  type CallFault,
  createMemoryObjectStore,
  type FaultyStore,
  faultyStore,
} from '../../support/memory-object-store.ts'
import {
  assertLegal,
  assertNoRubbish,
  assertNoStrayRecords,
  assertPointers,
  EVERYTHING_MS,
  servicesOver,
} from './audit.ts'
import {
  type Change,
  deleteBlob,
  deleteManifest,
  deleteTag,
  manifestOf,
  mountBlob,
  pushByPatches,
  pushByPost,
  pushByPut,
  pushByResuming,
  pushManifest,
  type Scenario,
} from './pushes.ts'

const KiB = 1024
/** Parts of a bucket in memory may be small: 11 KiB are six parts, in three objects. */
const SIZES = { partSize: 2 * KiB, partsPerSegment: 2 }
const layout = s3Layout('some/prefix/')

const config = randomBytes(300)
const small = randomBytes(1000)
const large = randomBytes(11 * KiB)
const blobs = [pushByPost('config', config), pushByPost('layer', small)]
const tagged = [...blobs, pushManifest('image', 'v1', [config, small])]
const image = manifestOf('image', [config, small])
const { given: source, change: mount } = mountBlob(small)

const SCENARIOS: readonly Scenario[] = [
  { given: [], change: pushByPost('a blob by POST', small) },
  { given: [], change: pushByPost('a blob of several objects by POST', large) },
  { given: blobs, change: pushByPost('a blob that is there by POST', small) },
  { given: [], change: pushByPut('a blob by POST and PUT', small) },
  { given: [], change: pushByPut('a blob of several objects by POST and PUT', large) },
  { given: [], change: pushByPatches('a blob by PATCH and PUT', large, [large.length]) },
  { given: blobs, change: pushByPatches('a blob that is there in chunks', small, [500, 500]) },
  {
    given: [],
    change: pushByPatches('a blob in many chunks', small.subarray(0, 850), Array(17).fill(50)),
  },
  { given: blobs, change: pushManifest('a manifest', 'v1', [config, small]) },
  { given: tagged, change: pushManifest('another manifest', 'v1', [config, small]) },
  { given: [source], change: mount },
  { given: tagged, change: deleteTag('v1') },
  { given: tagged, change: deleteManifest(image) },
  { given: blobs, change: deleteBlob(small) },
]

const FAULTS: readonly CallFault[] = ['fails', 'fails after its effect', 'is never made']

function open(store: ObjectStore): Storage {
  const content = createS3BlobDriver(store, layout, { sizes: SIZES })
  return { content, records: createS3RecordDriver(store, layout) }
}

async function prepared(given: readonly Change[]): Promise<ObjectStore> {
  const store = createMemoryObjectStore()
  for (const change of given) await change.run(servicesOver(open(store)))
  return store
}

type Outcome = 'acknowledged' | 'refused' | 'killed'

async function tryChange(change: Change, { store, killed }: FaultyStore): Promise<Outcome> {
  const running = change.run(servicesOver(open(store))).then(
    (): Outcome => 'acknowledged',
    (error: { code: string }): Outcome => {
      assert.equal(error.code, 'STORAGE_FAILED')
      return 'refused'
    },
  )
  return Promise.race([running, killed.then((): Outcome => 'killed')])
}

async function holdTo({ given, change }: Scenario, at: number, what: CallFault) {
  const store = await prepared(given)
  const outcome = await tryChange(change, faultyStore(store, { at, what }))
  const storage = open(store)
  const services = servicesOver(storage)
  if (outcome === 'acknowledged') assert.ok(await change.isSeen(services), 'it is lost')
  await assertPointers(store, layout, storage.content)
  await assertLegal(storage)
  await change.run(services)
  assert.ok(await change.isSeen(services), 'a second try is lost')
  for (let i = 0; i < 2; i++) await storage.content.expireUploads(EVERYTHING_MS)
  assert.ok(await change.isSeen(services), 'expiry took it')
  await assertLegal(storage)
  await assertNoStrayRecords(storage)
  await assertNoRubbish(store, layout)
}

async function countCalls({ given, change }: Scenario): Promise<number> {
  const { store, calls } = faultyStore(await prepared(given))
  await change.run(servicesOver(open(store)))
  return calls()
}

describe('a change in a bucket', () => {
  for (const scenario of SCENARIOS) {
    for (const what of FAULTS) {
      it(`is made or not, and leaves nothing, when any call of ${scenario.change.name} ${what}`, async () => {
        const calls = await countCalls(scenario)
        for (let at = 1; at <= calls; at++) {
          await holdTo(scenario, at, what).catch((cause) => {
            throw new Error(`at call ${at}: ${cause.message}`, { cause })
          })
        }
      })
    }
  }

  it('succeeds for a client that resumes, whatever call fails', async () => {
    const change = pushByResuming('a blob', large, 3000)
    const calls = await countCalls({ given: [], change })
    for (const what of ['fails', 'fails after its effect'] as const) {
      for (let at = 1; at <= calls; at++) {
        const store = createMemoryObjectStore()
        assert.equal(await tryChange(change, faultyStore(store, { at, what })), 'acknowledged')
        assert.ok(await change.isSeen(servicesOver(open(store))))
      }
    }
  })
})
