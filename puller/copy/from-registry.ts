import { isDrayError } from '#oci/error.ts'
import { parseManifest } from '#oci/manifest.ts'
import type { Descriptor } from '#oci/descriptor.ts'
import {
  formatReference,
  manifestSelector,
  type Reference,
  withDefaultTag,
} from '#oci/reference.ts'
import { referrersTag } from '#oci/referrers-tag.ts'
import { checkDocument, type Document, topDocument } from '../image/resolve.ts'
import { accessOf, type RegistryAccess } from '../registry/access.ts'
import type { FetchedManifest, RepositoryClient } from '../registry/client.ts'
import { unreachable } from '../registry/unreachable.ts'
import { openPlaces } from '../registry/places.ts'
import { withRetries } from '../transfer/retry.ts'
import type { ImageSource } from './source.ts'

export interface RegistrySourceOptions extends RegistryAccess {
  /** Hears what a person would like to know when it is slow. */
  readonly debug?: ((message: string) => void) | undefined
  readonly signal: AbortSignal
}

/** Opens an image of a registry. @throws IMAGE_UNKNOWN, REGISTRY_UNREACHABLE, REGISTRY_FAILED, CONTENT_MISMATCH */
export async function registrySource(
  reference: Reference,
  options: RegistrySourceOptions,
): Promise<ImageSource> {
  const { signal } = options
  const wanted = withDefaultTag(reference)
  const { debug } = options
  const client = await openPlaces(wanted, { access: 'pull', ...accessOf(options), debug, signal })
  const selector = manifestSelector(wanted)
  const { bytes, digest, contentType } = await withRetries(
    () => client.getManifest(selector, signal),
    { signal },
  )
  const top = topDocument(bytes, digest, contentType)
  return clientSource(client, top, { name: formatReference(wanted), proxy: options.proxy })
}

/** An image of a registry that is spoken to already. */
export function clientSource(
  client: RepositoryClient,
  top: Document,
  { name, proxy }: Pick<ImageSource, 'name' | 'proxy'>,
): ImageSource {
  const get = (selector: string, stop: AbortSignal) =>
    withRetries(() => client.getManifest(selector, stop), { signal: stop })
  return {
    ...{ top, name, client, proxy },
    async readManifest(descriptor, stop) {
      const found = await ifKnown(get(descriptor.digest, stop))
      return found === undefined ? undefined : checkDocument(descriptor, found.bytes)
    },
    readBlob: (blob, start, stop) => readThrough(client, blob, start, stop),
    async readTagged(tag, stop) {
      const found = await ifKnown(get(tag, stop))
      return found && topDocument(found.bytes, found.digest, found.contentType)
    },
    async listReferrers(subject, stop) {
      const listed = await withRetries(() => client.getReferrers(subject, stop), { signal: stop })
      if (listed !== undefined) return listed
      const tagged = await ifKnown(get(referrersTag(subject), stop))
      if (tagged === undefined) return []
      const index = parseManifest(tagged.bytes, tagged.contentType)
      return index.kind === 'index' ? index.manifests : []
    },
  }
}

async function ifKnown(getting: Promise<FetchedManifest>): Promise<FetchedManifest | undefined> {
  try {
    return await getting
  } catch (error) {
    if (isDrayError(error, 'IMAGE_UNKNOWN')) return undefined
    throw error
  }
}

/** Reads a blob in one stream, asking again for the rest whenever it breaks. */
async function* readThrough(
  client: RepositoryClient,
  blob: Descriptor,
  start: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let at = start
  let body: Body | undefined
  let broken: string | undefined
  const readOn = async () => {
    body ??= await openAt(client, blob, { start: at, broken }, signal)
    try {
      const chunk = await body.next()
      if (chunk !== undefined || at >= blob.size) return chunk
      throw new Error(`it ended after ${at} of ${blob.size} bytes`)
    } catch (error) {
      body.close()
      const { url } = body
      broken = body.place
      body = undefined
      throw isDrayError(error) ? error : unreachable(url, error as Error)
    }
  }
  try {
    while (at < blob.size) {
      const chunk = await withRetries(readOn, { signal })
      if (chunk === undefined) return
      at += chunk.length
      yield chunk
    }
  } finally {
    body?.close()
  }
}

interface Body {
  readonly url: URL
  /** The place of the repository that it comes from, where it has several. */
  readonly place: string | undefined
  next(): Promise<Buffer | undefined>
  close(): void
}

async function openAt(
  client: RepositoryClient,
  blob: Descriptor,
  { start, broken }: { readonly start: number; readonly broken: string | undefined },
  signal: AbortSignal,
): Promise<Body> {
  const range = start === 0 ? undefined : { start, end: blob.size }
  const { body, whole, source } = await client.openBlob(blob, range, signal, broken)
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>
  let skip = whole ? start : 0
  return {
    url: new URL(source.url),
    place: source.place,
    async next() {
      for (;;) {
        const { value } = await chunks.next()
        if (value === undefined || value.length > skip) {
          const fresh = value?.subarray(skip)
          skip = 0
          return fresh
        }
        skip -= value.length
      }
    },
    close: () => void body.destroy(),
  }
}
