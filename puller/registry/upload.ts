import type { Readable } from 'node:stream'
import type { Descriptor } from '#oci/descriptor.ts'
import { DrayError, isDrayError } from '#oci/error.ts'
import type { RepositoryName } from '#oci/reference.ts'
import { failure, type HttpResponse } from './http.ts'
import type { Place } from './place.ts'

const MiB = 1024 * 1024

/**
 * A smaller blob goes in one `PUT`, of which registries keep nothing when it breaks. Larger ones go in a `PATCH`, which
 * costs one request more and can be gone on with.
 */
const LEAST_RESUMED = 8 * MiB

export interface UploadOptions {
  readonly blob: Descriptor
  /** Starts reading the blob at a byte. */
  readonly open: (start: number) => Readable
  /** Another repository of the same registry that may have it. */
  readonly mountFrom?: RepositoryName | undefined
}

/** The way of one blob into a registry, which may take several calls. */
export interface BlobUpload {
  /**
   * Sends the blob, or what the registry lacks of it after an earlier call broke.
   *
   * @returns bytes sent by this call, 0 when the registry had it elsewhere
   * @throws REGISTRY_UNREACHABLE, REGISTRY_FAILED, and what `open` fails with
   */
  send(signal?: AbortSignal): Promise<number>
  /** Bytes that the registry is known to have kept of what broke. */
  readonly kept: number
}

/** Where an upload goes on, and at which byte. */
interface Session {
  readonly url: URL
  readonly start: number
}

export function createBlobUpload(place: Place, options: UploadOptions): BlobUpload {
  const { blob, open, mountFrom } = options
  const what = `cannot push blob ${blob.digest} to ${place.name}`
  let broken: URL | undefined
  let kept = 0

  /** Opens a session, unless the blob could be mounted. */
  async function begin(signal?: AbortSignal): Promise<Session | undefined> {
    const mount = mountFrom === undefined ? undefined : { mount: blob.digest, from: mountFrom }
    const post = (parameters: Readonly<Record<string, string>> = {}) => {
      const url = new URL(place.url)
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
      return place.request(url, { method: 'POST', headers: { 'content-length': '0' }, signal })
    }
    let response = await post(mount)
    // A registry that refuses to mount may still take the blob itself.
    if (mount !== undefined && response.status >= 400 && response.status < 500) {
      response.body.destroy()
      response = await post()
    }
    if (mount !== undefined && response.status === 201) {
      response.body.resume()
      return undefined
    }
    if (response.status !== 202) throw await failure(response, what)
    response.body.resume()
    return { url: uploadLocation(what, response), start: 0 }
  }

  /** Asks what the registry kept. Undefined when it is nothing, or when it doesn't tell. */
  async function standing(url: URL, signal?: AbortSignal): Promise<Session | undefined> {
    const response = await place.request(url, { method: 'GET', signal })
    response.body.destroy()
    // `0-0` is said of one byte and of none.
    const [, last] = /^(?:bytes=)?0-([1-9][0-9]{0,14})$/.exec(`${response.headers.range}`) ?? []
    if (response.status !== 204 || last === undefined || Number(last) >= blob.size) return undefined
    const next = response.headers.location === undefined ? url : uploadLocation(what, response)
    return { url: next, start: Number(last) + 1 }
  }

  async function sendBytes(
    method: 'PUT' | 'PATCH',
    { url, start }: Session,
    signal?: AbortSignal,
  ): Promise<HttpResponse> {
    let fault: unknown
    const range = start === 0 ? {} : { 'content-range': `${start}-${blob.size - 1}` }
    const headers = {
      'content-type': 'application/octet-stream',
      'content-length': `${blob.size - start}`,
      ...range,
    }
    const body = () => open(start).once('error', (error) => (fault = error))
    try {
      return await place.request(url, { method, headers, body, signal })
    } catch (error) {
      throw isDrayError(fault) ? fault : error
    }
  }

  async function finish(response: Promise<HttpResponse>): Promise<void> {
    const stored = await response
    if (stored.status !== 201) throw await failure(stored, what)
    stored.body.resume()
  }

  async function sendFrom(session: Session, signal?: AbortSignal): Promise<void> {
    if (session.start === 0 && blob.size < LEAST_RESUMED) {
      const url = withDigest(session.url, blob)
      return finish(sendBytes('PUT', { ...session, url }, signal))
    }
    broken = session.url
    let { url } = session
    if (session.start < blob.size) {
      const response = await sendBytes('PATCH', session, signal)
      if (response.status !== 202) throw await failure(response, what)
      response.body.resume()
      url = uploadLocation(what, response)
    }
    const headers = { 'content-length': '0' }
    return finish(place.request(withDigest(url, blob), { method: 'PUT', headers, signal }))
  }

  return {
    get kept() {
      return kept
    },
    async send(signal) {
      const resumed = broken === undefined ? undefined : await standing(broken, signal)
      broken = undefined
      kept = resumed?.start ?? 0
      const session = resumed ?? (await begin(signal))
      if (session === undefined) return 0
      try {
        await sendFrom(session, signal)
      } catch (error) {
        if (resumed === undefined || !isRefusal(error)) throw error
        broken = undefined
        throw new DrayError('REGISTRY_FAILED', error.message, { cause: error, retryable: true })
      }
      return blob.size - session.start
    },
  }
}

/** Whether a registry wants no more of an upload: it is worth beginning again. */
function isRefusal(error: unknown): error is DrayError {
  return isDrayError(error, 'REGISTRY_FAILED') && !error.retryable
}

function withDigest(session: URL, { digest }: Descriptor): URL {
  const url = new URL(session)
  url.searchParams.set('digest', digest)
  return url
}

function uploadLocation(what: string, response: HttpResponse): URL {
  const { location } = response.headers
  if (location === undefined || !URL.canParse(location, response.url)) {
    throw new DrayError(
      'REGISTRY_FAILED',
      `${what}: the registry opened an upload, but didn't say where`,
    )
  }
  return new URL(location, response.url)
}
