import type { Readable } from 'node:stream'
import type { Descriptor } from '#oci/descriptor.ts'
import { type Digest, isDigest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { MANIFEST_LIMIT } from '#oci/manifest.ts'
import { MANIFEST_MEDIA_TYPES } from '#oci/media-types.ts'
import { parseTag, type RepositoryName, type Tag } from '#oci/reference.ts'
import type { RegistryHost } from '../mirrors/registry-host.ts'
import type { ByteRange } from '../transfer/ranges.ts'
import type { RegistryAccess } from './access.ts'
import { checkManifest, checkRange } from './answers.ts'
import type { RangeSource } from './direct.ts'
import { failure, type HttpResponse, readBody, refuseWebPage } from './http.ts'
import { readNames } from './pages.ts'
import { listReferrers } from './referrers.ts'
import type { RemoteHost } from './remote-host.ts'
import { openSession } from './session.ts'
import { type BlobUpload, createBlobUpload, type UploadOptions } from './upload.ts'

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
  readonly source: HostSource
}

/** Ranges of a blob, and whose they are. */
export interface HostSource extends RangeSource {
  readonly host: RemoteHost
}

/** One repository of one registry. Every method throws REGISTRY_UNREACHABLE and REGISTRY_FAILED. */
export interface RepositoryClient {
  /** Where the next request goes, unless that fails. */
  readonly host: RemoteHost
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
  uploadBlob(options: UploadOptions): BlobUpload
  putManifest(
    selector: string,
    bytes: Buffer,
    mediaType: string,
    signal?: AbortSignal,
  ): Promise<StoredManifest>
  /** Takes a tag away, or a manifest with its tags. @throws IMAGE_UNKNOWN when there is none */
  deleteManifest(selector: string, signal?: AbortSignal): Promise<void>
  /** @throws IMAGE_UNKNOWN when there is no such repository */
  listTags(signal?: AbortSignal): Promise<readonly Tag[]>
  /** What the registry lists as referring to a manifest; undefined when it keeps no such lists. */
  getReferrers(subject: Digest, signal?: AbortSignal): Promise<readonly Descriptor[] | undefined>
}

export type Access = 'pull' | 'push' | 'delete'

export interface StoredManifest {
  /** Whether the registry lists it among the referrers of its subject. */
  readonly isListed: boolean
}

export interface RepositoryOptions extends RegistryAccess {
  /** `host[:port]`. */
  readonly registry: string
  readonly repository: RepositoryName
  /** What the settings of this machine say of the registry. */
  readonly host?: RegistryHost | undefined
  /** Where others may send requests, too. Default: `registry`, with its limits. */
  readonly remote?: RemoteHost | undefined
  /** What the client will do: decides the token that is asked for. */
  readonly access: Access
  /** Other repositories of the registry that blobs may be mounted from. */
  readonly mountFrom?: readonly RepositoryName[] | undefined
  /** Longest silence of the server, in ms. Default 30,000. */
  readonly stallTimeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Finds out how the registry is reached, and speaks to it. @throws REGISTRY_UNREACHABLE */
export async function openRepository(options: RepositoryOptions): Promise<RepositoryClient> {
  const { registry, repository } = options
  const session = await openSession({ ...options, scopes: scopesOf(options) })
  const { origin, api, certificates, remote, request } = session
  const own = options.host?.headers
  const base = new URL(`${repository}/`, api)
  const urlOf = (path: string) => withNamespace(new URL(path, base), options.host?.namespace)
  const name = `${registry}/${repository}`

  const unknown = (selector: string) => {
    const list = isDigest(selector) ? '' : `: dray remote tags ${name} lists what is there`
    const message = `${registry} has no ${repository}, or no ${selector} in it${list}`
    return new DrayError('IMAGE_UNKNOWN', message)
  }

  return {
    host: remote,

    async getManifest(selector, signal) {
      const what = `cannot get ${name} ${selector}`
      const response = await request(urlOf(`manifests/${selector}`), {
        headers: { accept: MANIFEST_MEDIA_TYPES.join(', ') },
        signal,
      })
      if (response.status === 404) {
        response.body.destroy()
        throw unknown(selector)
      }
      if (response.status !== 200) throw await failure(response, what)
      refuseWebPage(response, what)
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
      const what = `cannot get blob ${blob.digest} of ${name}`
      const headers = range === undefined ? {} : { range: `bytes=${range.start}-${range.end - 1}` }
      const response = await request(urlOf(`blobs/${blob.digest}`), { headers, signal })
      if (response.status !== 200 && response.status !== 206) {
        throw await failure(response, what + foreign(blob, response))
      }
      try {
        const isOwn = new URL(response.url).origin === origin.origin
        const authorization = isOwn ? session.authorization : undefined
        const source = {
          url: response.url,
          headers: { ...(isOwn && own), ...(authorization !== undefined && { authorization }) },
          certificates: isOwn ? certificates : undefined,
          host: remote,
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
        throw await failure(response, `cannot look for blob ${digest} in ${name}`)
      }
      response.body.destroy()
      return response.status === 200
    },

    uploadBlob: (upload) =>
      createBlobUpload({ url: urlOf('blobs/uploads/'), request, name }, upload),

    async putManifest(selector, bytes, mediaType, signal) {
      const response = await request(urlOf(`manifests/${selector}`), {
        method: 'PUT',
        headers: { 'content-type': mediaType },
        body: () => bytes,
        signal,
      })
      if (response.status !== 201) {
        throw await failure(response, `cannot push the manifest of ${name} ${selector}`)
      }
      response.body.resume()
      return { isListed: response.headers['oci-subject'] !== undefined }
    },

    async deleteManifest(selector, signal) {
      const response = await request(urlOf(`manifests/${selector}`), { method: 'DELETE', signal })
      if (response.status === 404) {
        response.body.destroy()
        throw unknown(selector)
      }
      if (response.status >= 300) throw await notDeleted(response, name, selector)
      response.body.resume()
    },

    async listTags(signal) {
      const place = { url: urlOf('tags/list'), request, name }
      const advice = `${registry} has no ${repository}`
      return (await readNames(place, 'tags', { advice, signal })).map(parseTag)
    },

    getReferrers: (subject, signal) =>
      listReferrers({ url: urlOf(`referrers/${subject}`), request, name }, signal),
  }
}

/** Registries may take no removals, or those of manifests alone. */
async function notDeleted(
  response: HttpResponse,
  name: string,
  selector: string,
): Promise<DrayError> {
  const { status } = response
  const error = await failure(response, `cannot remove ${selector} from ${name}`)
  if (status !== 400 && status !== 405) return error
  const advice = isDigest(selector)
    ? 'it may not let anybody remove images (of docker-registry: REGISTRY_STORAGE_DELETE_ENABLED=true)'
    : `it may remove manifests alone, each with all its tags: dray remote rm ${name}@$(dray remote digest ${name}:${selector})`
  const { code, message, detail } = error
  return new DrayError(code, `${message}: ${advice}`, { detail })
}

/** Layers that were not to be distributed name other places, which may be anybody's: they are never asked. */
function foreign({ urls = [] }: Descriptor, { status }: HttpResponse): string {
  if (status !== 404) return ''
  return urls.length > 0
    ? ', which its manifest says is elsewhere, at a URL that is not followed: push the image with all its layers to a registry'
    : ', which its manifest names, and the registry has lost (pushing the image again mends that)'
}

/** Tells a mirror of several registries which one is meant. */
function withNamespace(url: URL, namespace: string | undefined): URL {
  if (namespace !== undefined) url.searchParams.set('ns', namespace)
  return url
}

/** Some registries count a removal as a push. */
const ACTIONS: Readonly<Record<Access, string>> = {
  pull: 'pull',
  push: 'pull,push',
  delete: 'pull,push,delete',
}

function scopesOf({ repository, access, mountFrom = [] }: RepositoryOptions): string[] {
  return [
    `repository:${repository}:${ACTIONS[access]}`,
    ...mountFrom.map((other) => `repository:${other}:pull`),
  ]
}
