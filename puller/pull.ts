import { availableParallelism } from 'node:os'
import type { Worker } from 'node:worker_threads'
import type { Descriptor } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'
import { isDrayError } from '#oci/error.ts'
import { formatPlatform, hostPlatform, isForeign, type Platform } from '#oci/platform.ts'
import {
  formatReference,
  manifestSelector,
  type Reference,
  type ResolvedReference,
  withDefaultTag,
} from '#oci/reference.ts'
import { clientSource } from './copy/from-registry.ts'
import { storeRest } from './copy/store-rest.ts'
import {
  checkDocument,
  type Document,
  type DocumentSource,
  type ResolvedImage,
  resolveImage,
  topDocument,
} from './image/resolve.ts'
import { storeImage } from './image/store-image.ts'
import type { OnProgress } from './progress.ts'
import { accessOf, type RegistryAccess } from './registry/access.ts'
import type { RepositoryClient } from './registry/client.ts'
import { readBody } from './registry/http.ts'
import { openPlaces } from './registry/places.ts'
import type { Lease } from './store/lease.ts'
import { withRoom } from './store/no-room.ts'
import type { Store } from './store/store.ts'
import type { ConnectionOptions } from './transfer/connections.ts'
import { type RetryOptions, withRetries } from './transfer/retry.ts'
import { startThread } from './transfer/worker-pool.ts'

export interface PullOptions
  extends RegistryAccess,
    Pick<ConnectionOptions, 'maxConnections' | 'limitRate'> {
  /** Which manifest of an index is taken; a manifest without one is taken with a warning. Default: this machine's. */
  readonly platform?: Platform | undefined
  /** Whether the blobs of all other platforms are kept, too. Default false. */
  readonly allPlatforms?: boolean | undefined
  /** Whether signatures, SBOMs and other artifacts that refer to the image are kept, too. Default false. */
  readonly withReferrers?: boolean | undefined
  /** Whether layers are unpacked too, ready to run, not only verified and kept. Default true. */
  readonly unpack?: boolean | undefined
  /** Longest silence of a server, in ms, before a range is asked for again. Default 30,000. */
  readonly stallTimeoutMs?: number | undefined
  /** How requests that failed are tried again. */
  readonly retry?: Omit<RetryOptions, 'signal'> | undefined
  /** Hears what a person would like to know when a pull is slow. */
  readonly debug?: ((message: string) => void) | undefined
  readonly onProgress?: OnProgress | undefined
  readonly signal?: AbortSignal | undefined
}

export interface PullResult {
  /** The full reference that the image is now known by. */
  readonly name: string
  /** What the name stands for. */
  readonly digest: Digest
  /** The manifest for the platform; the same as `digest` where there is no index. */
  readonly manifestDigest: Digest
  /** Bytes that were fetched. */
  readonly transferred: number
}

/**
 * Pulls an image into the local store, ready to run unless told otherwise. Nothing is visible before every byte is verified; what is
 * there already isn't fetched again, not even from a pull that was killed.
 *
 * @throws IMAGE_UNKNOWN, PLATFORM_UNKNOWN, CONTENT_MISMATCH, DIFF_ID_MISMATCH, LAYER_INVALID, TAR_INVALID,
 *   COMPRESSION_INVALID, REGISTRY_UNREACHABLE, REGISTRY_FAILED, STORE_FAILED
 */
export async function pullImage(
  store: Store,
  reference: Reference,
  options: PullOptions = {},
): Promise<PullResult> {
  return await withRoom(store.layout.root, () => pullInto(store, reference, options))
}

async function pullInto(
  store: Store,
  reference: Reference,
  options: PullOptions,
): Promise<PullResult> {
  const lease = await store.lease()
  try {
    const { image, name, transferred } = await fetchImage(store, lease, reference, options)
    await store.name({ name, descriptor: image.top })
    return {
      name,
      digest: image.top.digest,
      manifestDigest: image.manifestDescriptor.digest,
      transferred,
    }
  } finally {
    lease.close()
  }
}

/** An image of which everything is in the store but its name. */
export interface FetchedImage {
  readonly image: ResolvedImage
  /** The full reference that it goes by. */
  readonly name: string
  /** Bytes that were fetched. */
  readonly transferred: number
}

/** {@link pullImage}, but for the name. It is garbage when it has none by the end of the lease. */
export async function fetchImage(
  store: Store,
  lease: Lease,
  reference: Reference,
  options: PullOptions,
): Promise<FetchedImage> {
  const wanted = withDefaultTag(reference)
  const name = formatReference(wanted.digest === undefined ? wanted : withoutTag(wanted))
  const isNew = !(await store.images()).some((image) => image.name === name)
  const threads = isNew ? startAhead(store, options) : []
  try {
    return await fetchNamed({ store, lease, wanted, name, isNew, threads }, options)
  } finally {
    for (const thread of threads) void thread.terminate()
  }
}

/** A thread for the layers of an image that the store hasn't had, started before it is known which they are. */
function startAhead(store: Store, { unpack }: PullOptions): Worker[] {
  if (availableParallelism() === 1) return []
  return [startThread({ inflater: store.inflater, ahead: unpack ?? true })]
}

interface Fetching {
  readonly store: Store
  readonly lease: Lease
  readonly wanted: ResolvedReference
  readonly name: string
  /** Whether the store knows no image by that name. */
  readonly isNew: boolean
  readonly threads: readonly Worker[]
}

async function fetchNamed(fetching: Fetching, options: PullOptions): Promise<FetchedImage> {
  const { store, lease, wanted, name, isNew, threads } = fetching
  const { onProgress = () => undefined, signal = new AbortController().signal } = options
  const client = await openPlaces(wanted, {
    access: 'pull',
    ...accessOf(options),
    stallTimeoutMs: options.stallTimeoutMs,
    debug: options.debug,
    signal,
  })
  const source = documentSource({ store, lease, client, signal })
  const top = await topOf({ store, lease, client, signal }, wanted, isNew)
  const image = await resolveImage(source, top, options.platform ?? hostPlatform())
  onProgress({
    type: 'resolved',
    reference: name,
    digest: top.descriptor.digest,
    ...platformOf(image),
  })
  const { platform } = options
  if (platform !== undefined && image.config !== undefined && isForeign(platform, image.config)) {
    const [actual, asked] = [image.config, platform].map(formatPlatform)
    onProgress({ type: 'warning', message: `${name} is for ${actual}, not for ${asked} as asked` })
  }

  const transferred = await storeImage(store, image, {
    ...options,
    client,
    lease,
    threads,
    signal,
    onProgress,
  })
  const { tag, digest, ...repository } = wanted
  const nameOfReferrers = (list: string) => `${formatReference(repository)}:${list}`
  const rest = await storeRest(
    clientSource(client, top, { name, proxy: options.proxy }),
    { store, nameOfReferrers },
    { ...options, lease, signal, onProgress },
  )
  return { image, name, transferred: transferred + rest }
}

interface Sources {
  readonly store: Store
  readonly lease: Lease
  readonly client: RepositoryClient
  readonly signal: AbortSignal
}

/** What the reference stands for. A tag that is known is only asked for its digest first, which costs no pull of a limit. */
async function topOf(
  sources: Sources,
  wanted: ResolvedReference,
  isNew: boolean,
): Promise<Document> {
  const { store, lease, client, signal } = sources
  const digestOfTag = () => client.headManifest(manifestSelector(wanted), signal)
  const digest = wanted.digest ?? (isNew ? undefined : await withRetries(digestOfTag, { signal }))
  const local = digest === undefined ? undefined : await localManifest(store, lease, digest)
  if (local !== undefined) return local
  const selector = digest ?? manifestSelector(wanted)
  const fetched = await withRetries(() => client.getManifest(selector, signal), { signal })
  return topDocument(fetched.bytes, fetched.digest, fetched.contentType)
}

/** A top-level document that an image of the store has already. */
async function localManifest(
  store: Store,
  lease: Lease,
  digest: Digest,
): Promise<Document | undefined> {
  await lease.keep({ blobs: [digest] })
  const known = (await store.images()).find(({ descriptor }) => descriptor.digest === digest)
  if (known === undefined) return undefined
  const bytes = await localDocument(store, known.descriptor)
  if (bytes === undefined) return undefined
  const { mediaType, size } = known.descriptor
  return { descriptor: { mediaType, digest, size }, bytes }
}

/** A document that the store has; undefined also when it is damaged there. */
async function localDocument(store: Store, descriptor: Descriptor): Promise<Buffer | undefined> {
  if (!(await store.has(descriptor))) return undefined
  try {
    return await store.readSmall(descriptor)
  } catch (error) {
    if (isDrayError(error, 'CONTENT_MISMATCH')) return undefined
    throw error
  }
}

/** The store in front of the registry. */
function documentSource({ store, lease, client, signal }: Sources): DocumentSource {
  return {
    async read(descriptor, kind) {
      await lease.keep({ blobs: [descriptor.digest] })
      const local = await localDocument(store, descriptor)
      if (local !== undefined) return local
      let place: string | undefined
      const fetchOne = async () => {
        if (kind === 'manifest') return (await client.getManifest(descriptor.digest, signal)).bytes
        const { body, source } = await client.openBlob(descriptor, undefined, signal, place)
        place = source.place
        return await readBody({ status: 200, headers: {}, url: 'blob:', body }, descriptor.size)
      }
      const bytes = await withRetries(fetchOne, { signal })
      try {
        return checkDocument(descriptor, bytes)
      } catch (error) {
        if (client.distrust?.(descriptor.digest) !== true) throw error
        return checkDocument(descriptor, await withRetries(fetchOne, { signal }))
      }
    },
  }
}

function withoutTag({ registry, repository, digest }: ResolvedReference): Reference {
  return { registry, repository, ...(digest === undefined ? {} : { digest }) }
}

function platformOf({ config }: ResolvedImage): { platform?: string } {
  return config === undefined ? {} : { platform: formatPlatform(config) }
}
