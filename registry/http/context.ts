import type { RouterContext } from '@koa/router'
import { type Digest, parseDigest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '#oci/reference.ts'
import type { ManifestSelector } from '../services/manifests.ts'
import type { PageRequest } from '../services/pages.ts'

/** What a route is given. */
export type Context = RouterContext

/**
 * The n-th group of the route's expression, decoded. Paths are matched as they came, so that an encoded slash can't
 * change which route a request takes.
 */
export function pathPart(ctx: Context, n: number): string {
  const raw = ctx.captures?.[n] ?? ''
  try {
    return decodeURIComponent(raw)
  } catch {
    return raw
  }
}

/** @throws NAME_INVALID */
export function repositoryOf(ctx: Context): RepositoryName {
  return parseRepositoryName(pathPart(ctx, 0))
}

/** The digest that ends the path. @throws DIGEST_MALFORMED */
export function digestOfPath(ctx: Context): Digest {
  return parseDigest(pathPart(ctx, 1))
}

/** The tag or digest that ends the path. @throws TAG_INVALID, DIGEST_MALFORMED */
export function selectorOf(ctx: Context): ManifestSelector {
  const text = pathPart(ctx, 1)
  return text.includes(':') ? { digest: parseDigest(text) } : { tag: parseTag(text) }
}

/** More tags than anybody gives one manifest; each is a write. */
const MOST_TAGS = 100

/**
 * The tags that a push by digest asks for besides (distribution-spec, "Pushing Manifests").
 *
 * @throws TAG_INVALID, TOO_MANY_TAGS, REQUEST_INVALID when the path names a tag already
 */
export function tagsOf(ctx: Context, selector: ManifestSelector): Tag[] {
  const tags = [...new Set([ctx.query.tag ?? []].flat())].map(parseTag)
  if (tags.length > MOST_TAGS) {
    throw new DrayError('TOO_MANY_TAGS', `a request may give at most ${MOST_TAGS} tags`)
  }
  if (tags.length > 0 && 'tag' in selector) {
    throw new DrayError('REQUEST_INVALID', 'the parameter tag goes with a push by digest')
  }
  return tags
}

/** A parameter of the query that may be there once. @throws REQUEST_INVALID */
export function queryParameter(ctx: Context, name: string): string | undefined {
  const value = ctx.query[name]
  if (Array.isArray(value)) {
    throw new DrayError('REQUEST_INVALID', `the parameter ${name} was given more than once`)
  }
  return value
}

// What any listed name is made of; longer than the longest of them.
const LAST = /^[\x21-\x7e]{0,300}$/

/** The parameters `n` and `last` (distribution-spec, "Listing Tags"). @throws REQUEST_INVALID */
export function pageRequestOf(ctx: Context): PageRequest {
  const n = queryParameter(ctx, 'n')
  const last = queryParameter(ctx, 'last') || undefined
  if (n !== undefined && !/^[0-9]+$/.test(n)) {
    throw new DrayError('REQUEST_INVALID', 'the parameter n must be a number of entries, 0 or more')
  }
  if (last !== undefined && !LAST.test(last)) {
    throw new DrayError('REQUEST_INVALID', 'the parameter last must be an entry of the list')
  }
  return { limit: n === undefined ? undefined : Number(n), last }
}

/** Points to the next page of a listing (RFC 8288). */
export function setNextLink(ctx: Context, parameters: Readonly<Record<string, string>>): void {
  ctx.set('Link', `<${ctx.path}?${new URLSearchParams(parameters)}>; rel="next"`)
}

/** Answers without a body; `Content-Length` says so. */
export function answerEmpty(ctx: Context, status: number): void {
  ctx.body = null
  ctx.status = status
}
