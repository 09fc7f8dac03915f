import assert from 'node:assert/strict'
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
import { assertRecovers, servicesOver } from './audit.ts'
import { type Change, pushByResuming, type Scenario } from './pushes.ts'
import { LARGE, SCENARIOS, SCENARIOS_OF_OBJECTS } from './scenarios.ts'

/** Parts of a bucket in memory may be small: 11 KiB are six parts, in three objects. */
const SIZES = { partSize: 2048, partsPerSegment: 2 }
const layout = s3Layout('some/prefix/')

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
  await assertRecovers(storage, change, { store, layout })
}

async function countCalls({ given, change }: Scenario): Promise<number> {
  const { store, calls } = faultyStore(await prepared(given))
  await change.run(servicesOver(open(store)))
  return calls()
}

describe('a change in a bucket', () => {
  for (const scenario of [...SCENARIOS, ...SCENARIOS_OF_OBJECTS]) {
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
    const change = pushByResuming('a blob', LARGE, 3000)
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
