import type { RecordDriver } from '../storage/record-driver.ts'

/** What a client asks of a listing (distribution-spec, "Listing Tags"). */
export interface PageRequest {
  /** At most so many entries; none if 0; the rest is on further pages. */
  readonly limit?: number | undefined
  /** List what comes after this entry. */
  readonly last?: string | undefined
}

export interface Page<T> {
  readonly entries: readonly T[]
  /** The `last` of the next page; undefined when there is none. */
  readonly next?: string | undefined
}

/** Entries of a page whose client names no number, or a larger one. */
export const PAGE_LIMIT = 10_000

/** One page of the keys under `prefix`, without it, in the order of their bytes; only those that `isListed`. */
export async function listPage(
  records: RecordDriver,
  prefix: string,
  { limit = PAGE_LIMIT, last }: PageRequest,
  isListed: (entry: string) => boolean = () => true,
): Promise<Page<string>> {
  const wanted = Math.min(limit, PAGE_LIMIT)
  const entries: string[] = []
  let after = last === undefined ? undefined : prefix + last
  // One more than wanted, to see whether there is another page.
  for (let isEnd = false; !isEnd && entries.length <= wanted; ) {
    const keys = await records.list(prefix, { limit: wanted + 1, after })
    isEnd = keys.length <= wanted
    after = keys.at(-1)
    entries.push(...keys.map((key) => key.slice(prefix.length)).filter(isListed))
  }
  const page = entries.slice(0, wanted)
  return entries.length > wanted ? { entries: page, next: page.at(-1) } : { entries: page }
}

/** All keys under `prefix`, without it, read in pages as far as they are wanted. */
export async function* listAll(records: RecordDriver, prefix: string): AsyncGenerator<string> {
  let last: string | undefined
  do {
    const page: Page<string> = await listPage(records, prefix, { last })
    yield* page.entries
    last = page.next
  } while (last !== undefined)
}
