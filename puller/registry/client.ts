import type { Readable } from 'node:stream'
import type { Descriptor } from '#oci/descriptor.ts'
import { type Digest, digestAlgorithm, digestOf, isDigest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { MANIFEST_LIMIT } from '#oci/manifest.ts'
import { MANIFEST_MEDIA_TYPES } from '#oci/media-types.ts'
import type { RepositoryName } from '#oci/reference.ts'
import type { RegistryHost } from '../mirrors/registry-host.ts'
import type { ByteRange } from '../transfer/ranges.ts'
import type { RegistryAccess } from './access.ts'
import { createAuthorizer } from './authorizer.ts'
import type { RangeSource } from './direct.ts'
import { failure, type HttpRequest, type HttpResponse, readBody } from './http.ts'
import { openRegistry } from './open.ts'

/** A manifest as a registry sent it, checked against its digest where one was asked for. */
export interface FetchedManifest {
  readonly bytes: Buffer
  readonly digest: Digest
  readonly contentType: string | undefined
}

/** Bytes of a blob, unverified, from `start` on. */
export interface BlobResponse {
  readonly start: number
  /** Whether the registry sent the whole blob although a range was asked for. */
  readonly whole: boolean
  readonly body: Readable
  /** Where the next ranges of this blob can be asked for directly, as long as it answers. */
  readonly source: RangeSource
}

/** One repository of one registry. Every method throws REGISTRY_UNREACHABLE and REGISTRY_FAILED. */
export interface RepositoryClient {
  /** @throws IMAGE_UNKNOWN when there is no such manifest; CONTENT_MISMATCH */
  getManifest(selector: string, signal?: AbortSignal): Promise<FetchedManifest>
  /** The digest behind a tag or digest, undefined when there is none or the registry doesn't tell. */
  headManifest(selector: string, signal?: AbortSignal): Promise<Digest | undefined>
  /**
   * Starts reading a blob, or a closed range of it; elsewhere than at the place `broken` where there is another one.
   *
   * @throws CONTENT_MISMATCH when the answer is another range
   */
  openBlob(
    blob: Descriptor,
    range: ByteRange | undefined,
    signal?: AbortSignal,
    broken?: string,
  ): Promise<BlobResponse>
  /** Tells that the bytes of a blob were wrong. True when it is to be had from elsewhere, and will be from now on. */
  distrust?(digest: Digest): boolean
  hasBlob(digest: Digest, signal?: AbortSignal): Promise<boolean>
  /** Sends a blob in one request. `open` starts reading it from its beginning. */
  putBlob(blob: Descriptor, open: () => Readable, signal?: AbortSignal): Promise<void>
  /** @returns the digest that the registry stored it under, which is that of `bytes` */
  putManifest(
    selector: string,
    bytes: Buffer,
    mediaType: string,
    signal?: AbortSignal,
  ): Promise<Digest>
}

export interface RepositoryOptions extends RegistryAccess {
  /** `host[:port]`. */
  readonly registry: string
  readonly repository: RepositoryName
  /** What the settings of this machine say of the registry. */
  readonly host?: RegistryHost | undefined
  /** What the client will do: decides the token that is asked for. */
  readonly access: 'pull' | 'push'
  /** Longest silence of the server, in ms. Default 30,000. */
  readonly stallTimeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Finds out how the registry is reached, and speaks to it. @throws REGISTRY_UNREACHABLE */
export async function openRepository(options: RepositoryOptions): Promise<RepositoryClient> {
  const { registry, repository } = options
  const { http, origin, api, certificates } = await openRegistry(options)
  const own = options.host?.headers
  const base = new URL(`${repository}/`, api)
  const urlOf = (path: string) => withNamespace(new URL(path, base), options.host?.namespace)
  const authorizer = createAuthorizer({
    http,
    origin,
    scope: `repository:${repository}:${options.access === 'push' ? 'pull,push' : 'pull'}`,
    tokenServers: options.tokenServers ?? [],
    credential: async () => options.credentials?.(registry, repository),
  })

  /** Sends a request to the registry, with what it wants to see once it has asked. Others are shown nothing. */
  async function request(url: URL, { body, ...rest }: Call): Promise<HttpResponse> {
    const isOwn = url.origin === origin.origin
    const send = (authorization: string | undefined) =>
      http(url, {
        ...rest,
        headers: { ...rest.headers, ...(authorization === undefined ? {} : { authorization }) },
        ...(body && { body: body() }),
      })
    if (!isOwn) return send(undefined)
    const sent = authorizer.header
    const response = await send(sent)
    const isWorthAnother = await authorizer.isWorthAnother(response, sent, rest.signal)
    return isWorthAnother ? send(authorizer.header) : response
  }

  return {
    async getManifest(selector, signal) {
      const what = `cannot get ${registry}/${repository} ${selector}`
      const response = await request(urlOf(`manifests/${selector}`), {
        headers: { accept: MANIFEST_MEDIA_TYPES.join(', ') },
        signal,
      })
      if (response.status === 404) {
        response.body.destroy()
        throw new DrayError(
          'IMAGE_UNKNOWN',
          `${registry} has no ${repository}, or no ${selector} in it`,
        )
      }
      if (response.status !== 200) throw await failure(response, what)
      const bytes = await readBody(response, MANIFEST_LIMIT)
      const digest = checkManifest(what, selector, bytes, response)
      return { bytes, digest, contentType: response.headers['content-type'] }
    },

    async headManifest(selector, signal) {
      const response = await request(urlOf(`manifests/${selector}`), {
        method: 'HEAD',
        headers: { accept: MANIFEST_MEDIA_TYPES.join(', ') },
        signal,
      })
      response.body.destroy()
      const digest = response.headers['docker-content-digest']
      return response.status === 200 && typeof digest === 'string' && isDigest(digest)
        ? digest
        : undefined
    },

    async openBlob(blob, range, signal) {
      const what = `cannot get blob ${blob.digest} of ${registry}/${repository}`
      const headers = range === undefined ? {} : { range: `bytes=${range.start}-${range.end - 1}` }
      const response = await request(urlOf(`blobs/${blob.digest}`), { headers, signal })
      if (response.status !== 200 && response.status !== 206) throw await failure(response, what)
      try {
        const isOwn = new URL(response.url).origin === origin.origin
        const authorization = isOwn ? authorizer.header : undefined
        const source = {
          url: response.url,
          headers: { ...(isOwn && own), ...(authorization !== undefined && { authorization }) },
          certificates: isOwn ? certificates : undefined,
        }
        return { ...checkRange(what, blob, range, response), body: response.body, source }
      } catch (error) {
        response.body.destroy()
        throw error
      }
    },

    async hasBlob(digest, signal) {
      const response = await request(urlOf(`blobs/${digest}`), { method: 'HEAD', signal })
      if (response.status !== 200 && response.status !== 404) {
        throw await failure(response, `cannot look for blob ${digest} in ${registry}/${repository}`)
      }
      response.body.destroy()
      return response.status === 200
    },

    async putBlob(blob, open, signal) {
      const what = `cannot push blob ${blob.digest} to ${registry}/${repository}`
      const session = await request(urlOf('blobs/uploads/'), {
        method: 'POST',
        headers: { 'content-length': '0' },
        signal,
      })
      if (session.status !== 202) throw await failure(session, what)
      session.body.resume()
      const url = uploadLocation(what, session)
      url.searchParams.set('digest', blob.digest)
      const stored = await request(url, {
        method: 'PUT',
        headers: { 'content-type': 'application/octet-stream', 'content-length': `${blob.size}` },
        body: open,
        signal,
      })
      if (stored.status !== 201) throw await failure(stored, what)
      stored.body.resume()
    },

    async putManifest(selector, bytes, mediaType, signal) {
      const response = await request(urlOf(`manifests/${selector}`), {
        method: 'PUT',
        headers: { 'content-type': mediaType },
        body: () => bytes,
        signal,
      })
      if (response.status !== 201) {
        throw await failure(
          response,
          `cannot push the manifest of ${registry}/${repository} ${selector}`,
        )
      }
      response.body.resume()
      return digestOf(bytes)
    },
  }
}

/** Tells a mirror of several registries which one is meant. */
function withNamespace(url: URL, namespace: string | undefined): URL {
  if (namespace !== undefined) url.searchParams.set('ns', namespace)
  return url
}

interface Call extends Omit<HttpRequest, 'body'> {
  readonly body?: () => Readable | Buffer
}

function checkManifest(
  what: string,
  selector: string,
  bytes: Buffer,
  response: HttpResponse,
): Digest {
  const claimed = response.headers['docker-content-digest']
  for (const digest of [selector, claimed]) {
    if (typeof digest !== 'string' || !isDigest(digest)) continue
    const actual = digestOf(bytes, digestAlgorithm(digest))
    if (actual !== digest) {
      throw new DrayError(
        'CONTENT_MISMATCH',
        `${what}: the manifest should be ${digest}, but its bytes are ${actual}`,
      )
    }
  }
  return isDigest(selector) ? selector : digestOf(bytes)
}

/** @throws CONTENT_MISMATCH when the answer isn't what was asked for; retryable where the next one may be */
function checkRange(
  what: string,
  blob: Descriptor,
  range: ByteRange | undefined,
  response: HttpResponse,
): Pick<BlobResponse, 'start' | 'whole'> {
  const mismatch = (why: string, retryable = false) =>
    new DrayError('CONTENT_MISMATCH', `${what}: ${why}`, { retryable })
  const encoding = response.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw mismatch(`the registry encoded it as ${encoding}, which changes its bytes`)
  }
  const length = response.headers['content-length']
  if (response.status === 200) {
    if (length !== undefined && Number(length) !== blob.size) {
      throw mismatch(`it has ${length} bytes, the manifest says ${blob.size}`)
    }
    return { start: 0, whole: range !== undefined }
  }
  const sent = /^bytes ([0-9]+)-([0-9]+)\/([0-9]+|\*)$/.exec(
    response.headers['content-range'] ?? '',
  )
  const [, start, last, total] = sent ?? []
  const wanted = range ?? { start: 0, end: blob.size }
  if (Number(start) !== wanted.start || Number(last) !== wanted.end - 1) {
    throw mismatch(
      `asked for bytes ${wanted.start}-${wanted.end - 1}, got ${response.headers['content-range']}`,
      true,
    )
  }
  if (total !== '*' && Number(total) !== blob.size) {
    throw mismatch(`it has ${total} bytes, the manifest says ${blob.size}`)
  }
  return { start: wanted.start, whole: false }
}

function uploadLocation(what: string, response: HttpResponse): URL {
  const location = response.headers.location
  if (location === undefined || !URL.canParse(location, response.url)) {
    throw new DrayError(
      'REGISTRY_FAILED',
      `${what}: the registry opened an upload, but didn't say where`,
    )
  }
  return new URL(location, response.url)
}
