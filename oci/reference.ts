import { type Digest, isDigest, parseDigest } from './digest.ts'
import { DrayError, errorMessage, isDrayError } from './error.ts'

/** A checked repository name, such as `library/debian` (distribution-spec, "Pulling manifests"). */
export type RepositoryName = string & { readonly __brand: 'RepositoryName' }

/** A checked tag. */
export type Tag = string & { readonly __brand: 'Tag' }

/** Where an image is: a registry, a repository in it, and a tag, a digest or both. */
export interface Reference {
  /** `host` or `host:port`, as typed but for the defaults of Docker Hub; an IPv6 address keeps its brackets. */
  readonly registry: string
  readonly repository: RepositoryName
  readonly tag?: Tag
  readonly digest?: Digest
}

/** A reference that says which manifest: `latest` is filled in where neither tag nor digest was given. */
export type ResolvedReference = Reference & ({ readonly tag: Tag } | { readonly digest: Digest })

const DOCKER_HUB = 'docker.io'
const DOCKER_HUB_LEGACY = 'index.docker.io'
const DEFAULT_TAG = 'latest' as Tag

/** Longest repository name (the limit that Docker's reference grammar and most registries share). */
export const REPOSITORY_NAME_LIMIT = 255
const REFERENCE_LIMIT = 2048

const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const REPOSITORY_NAME = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`)
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
const HOST_COMPONENT = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?'
const REGISTRY = new RegExp(
  `^(?:${HOST_COMPONENT}(?:\\.${HOST_COMPONENT})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]{1,5})?$`,
)

export function isRepositoryName(value: string): value is RepositoryName {
  return value.length <= REPOSITORY_NAME_LIMIT && REPOSITORY_NAME.test(value)
}

/** @throws NAME_INVALID */
export function parseRepositoryName(value: string): RepositoryName {
  if (!isRepositoryName(value)) {
    throw new DrayError(
      'NAME_INVALID',
      `invalid repository name ${quote(value)}: at most ${REPOSITORY_NAME_LIMIT} characters, lower-case letters, ` +
        'digits and single separators (. _ __ -), with / between components',
    )
  }
  return value
}

/** @throws TAG_INVALID */
export function parseTag(value: string): Tag {
  if (!TAG.test(value)) {
    throw new DrayError(
      'TAG_INVALID',
      `invalid tag ${quote(value)}: at most 128 letters, digits, _ . and -, not starting with . or -`,
    )
  }
  return value as Tag
}

/**
 * Parses `[registry/]name[:tag][@digest]` by the rules of the docker command line: without a registry it is
 * `docker.io`, where a single component stands in `library/`.
 *
 * @throws REFERENCE_INVALID
 */
export function parseReference(text: string): Reference {
  if (text.length > REFERENCE_LIMIT) throw invalid(text, 'it is too long')
  const scheme = /^[a-z][a-z0-9+-]*:\/\//i.exec(text)?.[0]
  if (scheme !== undefined) {
    throw invalid(text, `an image's name has no scheme: leave ${scheme} away`)
  }
  if (/^[0-9a-f]{64}$/.test(text)) {
    throw invalid(text, '64 hex digits are an identifier, not a name; write name@sha256:<digest>')
  }
  const { rest: named, digest } = splitDigest(text)
  const { registry, remainder } = splitRegistry(named)
  const colon = remainder.indexOf(':')
  const path = colon < 0 ? remainder : remainder.slice(0, colon)
  const name = registry === DOCKER_HUB && !path.includes('/') ? `library/${path}` : path
  if (!REGISTRY.test(registry) || portOf(registry) > 65535) {
    throw invalid(text, `${quote(registry)} is no host`)
  }
  if (path === '') throw invalid(text, 'the repository name is missing')
  if (path !== path.toLowerCase()) throw invalid(text, 'the repository name must be in lower case')
  return {
    registry,
    repository: wrap(text, () => parseRepositoryName(name)),
    ...(colon < 0 ? {} : { tag: wrap(text, () => parseTag(remainder.slice(colon + 1))) }),
    ...(digest === undefined ? {} : { digest }),
  }
}

/** {@link parseReference}, undefined for what is no reference. */
export function tryParseReference(text: string): Reference | undefined {
  try {
    return parseReference(text)
  } catch (error) {
    if (isDrayError(error, 'REFERENCE_INVALID')) return undefined
    throw error
  }
}

/**
 * Parses the name of a registry, `host[:port]`; URLs of it are understood, too.
 *
 * @throws REFERENCE_INVALID
 */
export function parseRegistry(text: string): string {
  const host = text.replace(/^https?:\/\//, '').replace(/\/(?:v[12]\/?)?$/, '')
  if (!REGISTRY.test(host) || portOf(host) > 65535) {
    throw invalid(text, 'write the host of a registry, host[:port]')
  }
  return host === DOCKER_HUB_LEGACY ? DOCKER_HUB : host
}

/** Fills in the tag `latest` where the reference has neither tag nor digest. */
export function withDefaultTag(reference: Reference): ResolvedReference {
  if (reference.digest !== undefined) return { ...reference, digest: reference.digest }
  return { ...reference, tag: reference.tag ?? DEFAULT_TAG }
}

/** The full form: `registry/name[:tag][@digest]`. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`
  return `${reference.registry}/${reference.repository}${tag}${digest}`
}

/** Whether people mean an image by this digest, with or without its algorithm, and so nothing that could be pulled. */
export function isImageId(text: string): boolean {
  return isDigest(text) || isDigest(`sha256:${text}`)
}

/** The full form of what people type, with a tag; undefined for what is no reference. */
export function fullName(text: string): string | undefined {
  const reference = tryParseReference(text)
  return reference && formatReference(withDefaultTag(reference))
}

/** The form that people type: without `docker.io/` and `library/`. */
export function familiarReference(reference: Reference): string {
  const full = formatReference(reference)
  if (reference.registry !== DOCKER_HUB) return full
  const rest = full.slice(DOCKER_HUB.length + 1)
  return /^library\/[^/]+$/.test(reference.repository) ? rest.slice('library/'.length) : rest
}

/** What stands in the place of `<reference>` in the API: the digest if there is one, else the tag. */
export function manifestSelector(reference: ResolvedReference): string {
  return reference.digest ?? reference.tag ?? DEFAULT_TAG
}

function splitDigest(text: string): { rest: string; digest?: Digest } {
  const at = text.indexOf('@')
  if (at < 0) return { rest: text }
  const digest = wrap(text, () => parseDigest(text.slice(at + 1)))
  return { rest: text.slice(0, at), digest }
}

function splitRegistry(named: string): { registry: string; remainder: string } {
  const slash = named.indexOf('/')
  const first = slash < 0 ? '' : named.slice(0, slash)
  if (!/[.:[]/.test(first) && first !== 'localhost' && first === first.toLowerCase()) {
    return { registry: DOCKER_HUB, remainder: named }
  }
  return {
    registry: first === DOCKER_HUB_LEGACY ? DOCKER_HUB : first,
    remainder: named.slice(slash + 1),
  }
}

function portOf(registry: string): number {
  const port = /:([0-9]+)$/.exec(registry.replace(/^\[.*\]/, ''))?.[1]
  return port === undefined ? 0 : Number(port)
}

function wrap<T>(text: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw invalid(text, errorMessage(error), error)
  }
}

function invalid(text: string, why: string, cause?: unknown): DrayError {
  return new DrayError('REFERENCE_INVALID', `invalid image reference ${quote(text)}: ${why}`, {
    cause,
  })
}

function quote(text: string): string {
  return JSON.stringify(text.length > 300 ? `${text.slice(0, 300)}...` : text)
}
