import assert from 'node:assert/strict'
import { it } from 'node:test'
import { parseRepositoryName } from '#oci/reference.ts'
import { PRESENT, RECORD_KEYS } from '#registry/services/record-keys.ts'
import { createMemoryRecordDriver } from '#registry/storage/memory/record-driver.ts'
import { servicesInMemory } from './fixture.ts'

it('a page of the catalog reads its own part of 100,000 repositories and no more', async () => {
  const records = createMemoryRecordDriver()
  const names = Array.from({ length: 100_000 }, (_, n) => `team-${n % 100}/app-${n}`)
  for (const name of names) {
    await records.put(RECORD_KEYS.repository(parseRepositoryName(name)), PRESENT)
  }
  const lists: (readonly [string, number, string | undefined])[] = []
  const { manifests } = servicesInMemory({
    ...records,
    list(prefix, options) {
      lists.push([prefix, options.limit, options.after])
      return records.list(prefix, options)
    },
  })
  const list = async (last?: string, limit?: number) => {
    const { entries, next } = await manifests.repositories({ limit, last }, () => true)
    return { entries, next, asked: lists.splice(0) }
  }
  names.sort()
  const middle = names[50_000]
  assert.deepEqual(await list(middle, 3), {
    entries: names.slice(50_001, 50_004),
    next: names[50_003],
    asked: [['catalog/', 4, `catalog/${middle}`]],
  })
  assert.equal((await list(undefined, 0)).entries.length, 0)
  const seen: string[] = []
  let last: string | undefined
  do {
    const page = await list(last)
    assert.ok(page.asked.length === 1 && page.entries.length <= 10_000)
    seen.push(...page.entries)
    last = page.next
  } while (last !== undefined)
  assert.deepEqual(seen, names)
})
