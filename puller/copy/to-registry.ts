import pLimit from 'p-limit'
import type { Digest } from '#oci/digest.ts'
import type { RepositoryName } from '#oci/reference.ts'
import { blobReporter, type OnProgress } from '../progress.ts'
import type { RepositoryClient } from '../registry/client.ts'
import type { HostLimits } from '../registry/remote-host.ts'
import { TRIES_OF_TRANSFER, withRetries } from '../transfer/retry.ts'
import { settleAll } from '../transfer/settle.ts'
import { createThrottle, throttled } from '../transfer/throttle.ts'
import { createVerifiedReader } from '../transfer/verified-reader.ts'
import { listInReferrersTag } from './referrers-tag.ts'
import type { Referrer } from './referrers.ts'
import type { ImageSource } from './source.ts'
import { blobsOf, type ImageTree, manifestsOf, type TreeBlob } from './tree.ts'

/** Blobs sent at once by default. */
const MAX_CONNECTIONS = 4

/** A try that brought the registry this many bytes further was no failure: the tries are counted anew. */
const PROGRESS = 1024 * 1024

export interface ToRegistryOptions {
  readonly client: RepositoryClient
  /** The tag or digest that the image gets. */
  readonly selector: string
  /** Where in the same registry a blob may be taken from. */
  readonly mountFrom?: ReadonlyMap<Digest, RepositoryName> | undefined
  /** Blobs sent at once. Default 4, or fewer where a host that they come from or go to is limited. */
  readonly maxConnections?: number | undefined
  /** Bytes per second, at the most. Default: as those hosts are limited. */
  readonly limitRate?: number | undefined
  readonly onProgress: OnProgress
  readonly signal: AbortSignal
}

/**
 * Sends an image to a registry as it is: blobs that the registry lacks, several at once, then manifests from the inside
 * out, so that the registry never holds a manifest without its parts. Nothing touches the disk, and no blob is sent whole
 * before it was verified.
 *
 * @param referrers manifests that refer to the image and are sent with it
 * @returns bytes sent
 * @throws LAYOUT_INVALID, CONTENT_MISMATCH, REGISTRY_UNREACHABLE, REGISTRY_FAILED
 */
export async function sendToRegistry(
  source: ImageSource,
  image: ImageTree,
  referrers: readonly Referrer[],
  options: ToRegistryOptions,
): Promise<number> {
  const { client, selector, signal } = options
  const limits: readonly HostLimits[] = [options, client.host, source.client?.host ?? {}]
  const most = limits.map(({ maxConnections = Infinity }) => maxConnections)
  const rate = Math.min(...limits.map(({ limitRate = Infinity }) => limitRate))
  const limit = pLimit(Math.min(options.maxConnections ?? MAX_CONNECTIONS, ...most))
  const throttle = createThrottle(rate)
  const readBlob: ImageSource['readBlob'] = (blob, start, inner) => {
    const chunks = source.readBlob(blob, start, inner)
    return rate === Infinity ? chunks : throttled(chunks, throttle, { rate, signal: inner })
  }
  const sizes = await settleAll(signal, (inner) =>
    blobsOf([image, ...referrers]).map((blob) =>
      limit(() => sendBlob(readBlob, blob, { ...options, signal: inner })),
    ),
  )
  const put = (name: string, { bytes, manifest }: ImageTree) =>
    withRetries(() => client.putManifest(name, bytes, manifest.mediaType, signal), {
      tries: TRIES_OF_TRANSFER,
      signal,
    })
  for (const tree of manifestsOf([image, ...referrers])) {
    const { isListed } = await put(tree === image ? selector : tree.descriptor.digest, tree)
    if (tree.manifest.subject !== undefined && !isListed)
      await listInReferrersTag(client, tree.manifest.subject, tree, signal)
  }
  for (const referrer of referrers)
    if (referrer.tag !== undefined) await put(referrer.tag, referrer)
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** @returns bytes sent */
async function sendBlob(
  readBlob: ImageSource['readBlob'],
  { descriptor, kind }: TreeBlob,
  options: ToRegistryOptions,
): Promise<number> {
  const { client, mountFrom, signal } = options
  const { digest, size } = descriptor
  const report = blobReporter(options.onProgress, descriptor, kind)
  const reader = createVerifiedReader(
    descriptor,
    (start) => readBlob(descriptor, start, signal),
    (at) => report('transferring', at),
  )
  const upload = client.uploadBlob({
    ...{ blob: descriptor, open: reader.open },
    mountFrom: mountFrom?.get(digest),
  })
  let kept = 0
  const madeProgress = () => {
    const isFurther = upload.kept >= kept + PROGRESS
    kept = upload.kept
    return isFurther
  }
  report('waiting', 0)
  const sent = await withRetries(
    async () => ((await client.hasBlob(digest, signal)) ? 0 : await upload.send(signal)),
    { tries: TRIES_OF_TRANSFER, signal, madeProgress },
  )
  report(sent === 0 ? 'exists' : 'done', size)
  return sent
}
