import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parseRepositoryName, parseTag } from '#oci/reference.ts'
import { createMemoryBlobDriver } from '#registry/storage/memory/blob-driver.ts'
import { createMemoryRecordDriver } from '#registry/storage/memory/record-driver.ts'
import type { RecordDriver } from '#registry/storage/record-driver.ts'
import { PRESENT, RECORD_KEYS } from '#registry/services/record-keys.ts'
import { createServices, type Services } from '#registry/services/services.ts'
import { type Actor, type Exploration, explore } from '../../support/schedules.ts'

const ALL = { limit: 1000 }
const name = parseRepositoryName('team/app')
const tag = parseTag('v1')
const subject = { mediaType: MEDIA_TYPE.ociManifest, digest: digestOf('subject'), size: 7 }
const index = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [] }
const bytes = Buffer.from(JSON.stringify({ ...index, subject }))
const digest = digestOf(bytes)

type Work = (services: Services) => Promise<unknown>

/** One process, whose every call on the store is a step. Making one is slow: it is used in many worlds. */
class Process {
  #records = createMemoryRecordDriver()
  #step: Parameters<Actor>[0] = (work) => work()
  readonly #services: Services

  constructor() {
    const call =
      <M extends 'get' | 'put' | 'delete' | 'list'>(method: M) =>
      (...args: Parameters<RecordDriver[M]>) =>
        this.#step(() => (this.#records[method] as (...args: unknown[]) => Promise<never>)(...args))
    this.#services = createServices(
      createMemoryBlobDriver(),
      {
        ...{ get: call('get'), put: call('put'), delete: call('delete'), list: call('list') },
        close: async () => {},
      },
      { missingReferences: 'refuse', immutableTags: {}, readOnly: false },
    )
  }

  async run<T>(
    records: RecordDriver,
    work: (services: Services) => Promise<T>,
    step: Parameters<Actor>[0] = (work) => work(),
  ): Promise<T> {
    this.#records = records
    this.#step = step
    return work(this.#services)
  }
}

const PROCESSES = [new Process(), new Process(), new Process(), new Process()] as const
const [observer, ...workers] = PROCESSES

const push = ({ manifests }: Services) =>
  manifests.put(name, { selector: { tag }, bytes, mayOverwrite: true })
const pushUntagged = ({ manifests }: Services) =>
  manifests.put(name, { selector: { digest }, bytes, mayOverwrite: true })
const remove = ({ manifests }: Services) => manifests.delete(name, { digest })
const pull = ({ manifests }: Services) => manifests.get(name, { tag })

/** What a reader finds: the manifest by its digest, by the tag, in the list of tags, and below its subject. */
async function view({ manifests, tags, referrers }: Services) {
  const isFound = (finding: Promise<unknown>) =>
    finding.then(
      () => true,
      (error: { code: string }) => {
        assert.equal(error.code, 'MANIFEST_UNKNOWN')
        return false
      },
    )
  return {
    byDigest: await isFound(manifests.get(name, { digest })),
    byTag: await isFound(manifests.get(name, { tag })),
    listed: (await tags.list(name, {})).entries.length === 1,
    referring: (await referrers.list(name, subject.digest, {})).entries.length === 1,
  }
}

const WHOLE = { byDigest: true, byTag: true, listed: true, referring: true }
const GONE = { byDigest: false, byTag: false, listed: false, referring: false }

interface Race {
  readonly given?: Work
  readonly actors: readonly Work[]
  readonly preemptions: number
  readonly killed?: Exploration['killed']
  /** Asserts on what is left. */
  check(records: RecordDriver): Promise<void>
}

async function raceThrough(race: Race): Promise<number> {
  const { given = push, actors, check, killed, preemptions } = race
  // Processes remember the repositories that they have seen: let all of them have seen ours.
  for (const process of PROCESSES) await process.run(createMemoryRecordDriver(), push)
  const start = createMemoryRecordDriver()
  await start.put(RECORD_KEYS.repository(name), PRESENT)
  await observer.run(start, given)
  const world = async () => {
    const records = createMemoryRecordDriver()
    for (const key of await start.list('', ALL)) {
      await records.put(key, (await start.get(key))?.bytes ?? PRESENT)
    }
    return {
      actors: actors.map(
        (work, i): Actor =>
          async (step) =>
            workers[i]?.run(records, work, step),
      ),
      async check(outcomes: readonly PromiseSettledResult<unknown>[]) {
        for (const outcome of outcomes) {
          if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'MANIFEST_UNKNOWN')
        }
        await check(records)
      },
    }
  }
  return explore({ world, preemptions, killed })
}

async function isWholeOrGone(records: RecordDriver): Promise<void> {
  const seen = JSON.stringify(await observer.run(records, view))
  assert.ok(
    [WHOLE, GONE].some((state) => JSON.stringify(state) === seen),
    seen,
  )
}

/**
 * Whatever a crash left: a pull ends a tag that leads nowhere, and the request that was killed can be repeated. Only what
 * a subject knows of a manifest may outlive a deletion that was killed while it met a push (ADR 5).
 */
async function isRepaired(records: RecordDriver, again: Work): Promise<void> {
  await observer.run(records, view)
  const { byDigest, byTag, listed } = await observer.run(records, view)
  assert.equal(listed, byTag)
  assert.ok(byDigest || !byTag)
  await observer.run(records, (services) => again(services).catch(() => {}))
  const { referring: _, ...seen } = await observer.run(records, view)
  const isThere = again === push
  assert.deepEqual(seen, { byDigest: isThere, byTag: isThere, listed: isThere })
  await observer.run(records, (services) => remove(services).catch(() => {}))
  const left = (await records.list('', ALL)).filter((key) => !key.startsWith('referrers/'))
  assert.deepEqual(left, [RECORD_KEYS.repository(name)])
}

describe('a manifest that is pushed by tag and deleted at the same time', () => {
  it('is there with its tag or gone with it, in any order of all steps', async () => {
    for (const given of [push, pushUntagged]) {
      const race = { given, actors: [push, remove], check: isWholeOrGone }
      const runs = await raceThrough({ ...race, preemptions: 3 })
      assert.ok(runs > 500, `${runs} orders`)
    }
  })

  it('is so when somebody pulls the tag as well', async () => {
    const race = { actors: [push, remove, pull], check: isWholeOrGone }
    const runs = await raceThrough({ ...race, preemptions: 2 })
    assert.ok(runs > 1000, `${runs} orders`)
  })

  it('is so when two delete it', async () => {
    const race = { actors: [push, remove, remove], check: isWholeOrGone }
    const runs = await raceThrough({ ...race, preemptions: 1 })
    assert.ok(runs > 100, `${runs} orders`)
  })

  it('is never left with a tag that leads nowhere when either is killed, after any step', async () => {
    for (const [actor, again] of [push, remove].entries()) {
      for (let steps = 1; steps < 20; steps++) {
        const check = (records: RecordDriver) => isRepaired(records, again)
        const race = { actors: [push, remove], check, killed: { actor, steps } }
        await raceThrough({ ...race, preemptions: 1 })
      }
    }
  })
})
