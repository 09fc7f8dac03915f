import * as z from 'zod'
import { DrayError } from '#oci/error.ts'
import { parseJson } from '#oci/json.ts'
import { check } from '#oci/schema.ts'
import { failure, readBody, refuseWebPage } from './http.ts'
import type { Place } from './place.ts'

/** What most registries give at once, at the most. */
const PAGE_SIZE = 1000
const PAGE_LIMIT = 4 * 1024 * 1024
/** More than any registry has; one that answers with more is wrong. */
const MOST_NAMES = 1_000_000
const MOST_PAGES = 10_000

const namesSchema = z.array(z.string()).nullish()
const schemas = {
  tags: z.object({ tags: namesSchema }).transform(({ tags }) => tags ?? []),
  repositories: z
    .object({ repositories: namesSchema })
    .transform(({ repositories }) => repositories ?? []),
} as const

/**
 * Reads a list of tags or repositories, page by page (distribution-spec, "Listing Tags").
 *
 * @param advice what to do where the registry doesn't have the list
 * @throws REGISTRY_UNREACHABLE, REGISTRY_FAILED, IMAGE_UNKNOWN
 */
export async function readNames(
  { url, request, name }: Place,
  kind: keyof typeof schemas,
  { advice, signal }: { readonly advice: string; readonly signal: AbortSignal | undefined },
): Promise<string[]> {
  const what = `cannot list the ${kind} of ${name}`
  const names: string[] = []
  let page: URL | undefined = withSize(url)
  for (let pages = 0; page !== undefined; pages++) {
    const response = await request(page, { headers: { accept: 'application/json' }, signal })
    if (response.status === 404) {
      response.body.destroy()
      throw new DrayError('IMAGE_UNKNOWN', `${what}: ${advice}`)
    }
    if (response.status !== 200) throw await failure(response, what)
    refuseWebPage(response, what)
    const bytes = await readBody(response, PAGE_LIMIT)
    const value = parseJson(bytes, { code: 'REGISTRY_FAILED', maxBytes: PAGE_LIMIT })
    names.push(...check(schemas[kind], value, `list of ${kind}`, 'REGISTRY_FAILED'))
    page = nextPage(response.headers.link, page)
    if (names.length > MOST_NAMES || pages > MOST_PAGES)
      throw new DrayError('REGISTRY_FAILED', `${what}: the list doesn't end`)
  }
  return names
}

function withSize(url: URL): URL {
  const sized = new URL(url)
  sized.searchParams.set('n', String(PAGE_SIZE))
  return sized
}

/** The page that a header `Link` names (RFC 8288), of the same origin. */
export function nextPage(
  header: string | readonly string[] | undefined,
  from: URL,
): URL | undefined {
  const [, target] = /<([^>]*)>\s*;[^,]*\brel="?next\b/.exec(`${header ?? ''}`) ?? []
  if (target === undefined || !URL.canParse(target, from.href)) return undefined
  const next = new URL(target, from)
  return next.origin === from.origin ? next : undefined
}
