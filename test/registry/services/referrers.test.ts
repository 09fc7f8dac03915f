import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Digest, digestOf } from '#oci/digest.ts'
import { parseTag } from '#oci/reference.ts'
import { RECORD_KEYS } from '#registry/services/record-keys.ts'
import { emptyIndex, NAME, servicesInMemory } from './fixture.ts'

/** A repository in which `count` referrers of a subject are stored and `recorded` of them known as such. */
async function repository(subject: Digest, count: number, recorded: number) {
  const services = servicesInMemory()
  const { manifests, records } = services
  const referrers = Array.from({ length: count }, (_, number) =>
    emptyIndex({
      artifactType: number % 2 === 0 ? 'application/x-even' : 'application/x-odd',
      annotations: { number: String(number) },
      subject: { mediaType: 'application/x-any', digest: subject, size: 1 },
    }),
  )
  for (const [at, { digest, bytes }] of referrers.entries()) {
    await manifests.put(NAME, { selector: { digest }, mayOverwrite: true, bytes })
    if (at >= recorded) await records.delete(RECORD_KEYS.referrer(NAME, subject, digest))
  }
  const pushTag = async (tag: string, named: readonly object[]) => {
    const { bytes } = emptyIndex({ manifests: named })
    await manifests.put(NAME, { selector: { tag: parseTag(tag) }, mayOverwrite: true, bytes })
  }
  const list = (artifactType?: string, last?: Digest) =>
    services.referrers.list(NAME, subject, { artifactType, last })
  return { ...services, referrers, pushTag, list }
}

describe('referrers that only a referrers tag names', () => {
  for (const algorithm of ['sha256', 'sha512'] as const) {
    it(`are listed once with those that are recorded, for a subject by ${algorithm}`, async () => {
      const subject = digestOf('subject', algorithm)
      const { referrers, pushTag, list } = await repository(subject, 6, 3)
      const digests = referrers.map(({ digest }) => digest).sort()
      assert.equal((await list()).entries.length, 3)
      const named = [...referrers.slice(1), ...referrers].map(({ descriptor }) => descriptor)
      await pushTag(`${algorithm}-${subject.split(':')[1]?.slice(0, 64)}`, named)
      const { entries, next } = await list()
      assert.equal(next, undefined)
      assert.deepEqual(
        entries.map(({ digest }) => digest),
        digests,
      )
      for (const { digest, descriptor } of referrers) {
        const entry = entries.find((found) => found.digest === digest)
        const number = referrers.findIndex((referrer) => referrer.digest === digest)
        assert.deepEqual(entry, {
          ...descriptor,
          artifactType: number % 2 === 0 ? 'application/x-even' : 'application/x-odd',
          annotations: { number: String(number) },
        })
      }
      assert.equal((await list('application/x-even')).entries.length, 3)
      const [first, second] = digests
      assert.equal((await list(undefined, first)).entries[0]?.digest, second)
    })
  }

  it('are taken from their own manifests, not from what the tag claims', async () => {
    const subject = digestOf('subject')
    const { manifests, referrers, pushTag, list } = await repository(subject, 2, 0)
    const [kept, deleted] = referrers
    const stranger = emptyIndex({ annotations: { number: 'none' } })
    await manifests.put(NAME, {
      selector: { digest: stranger.digest },
      mayOverwrite: true,
      bytes: stranger.bytes,
    })
    const named = [kept, deleted, stranger].map((referrer) => ({
      ...{ ...referrer?.descriptor, annotations: { number: 'forged' } },
    }))
    await pushTag(subject.replace(':', '-'), named)
    await manifests.delete(NAME, { digest: deleted?.digest as Digest })
    const { entries } = await list()
    assert.deepEqual(
      entries.map(({ digest, annotations }) => [digest, annotations?.number]),
      [[kept?.digest, '0']],
    )
  })

  it('come in pages when there are many', async () => {
    const subject = digestOf('subject')
    const { referrers, pushTag, list } = await repository(subject, 1100, 550)
    await pushTag(
      subject.replace(':', '-'),
      referrers.map(({ descriptor }) => descriptor),
    )
    const seen: Digest[] = []
    const sizes: number[] = []
    let last: string | undefined
    do {
      const page = await list(undefined, last as Digest | undefined)
      seen.push(...page.entries.map(({ digest }) => digest))
      sizes.push(page.entries.length)
      last = page.next
    } while (last !== undefined)
    assert.deepEqual(seen, referrers.map(({ digest }) => digest).sort())
    assert.deepEqual(sizes, [500, 500, 100])
  })

  it('do not stand in the way when the tag stands for something else', async () => {
    const subject = digestOf('subject')
    const { manifests, list } = await repository(subject, 1, 1)
    const image = Buffer.from(JSON.stringify({ schemaVersion: 2, layers: [], config: {} }))
    await assert.rejects(
      manifests.put(NAME, {
        selector: { tag: parseTag(subject.replace(':', '-')) },
        mayOverwrite: true,
        bytes: image,
      }),
      { code: 'MANIFEST_INVALID' },
    )
    assert.equal((await list()).entries.length, 1)
  })
})
