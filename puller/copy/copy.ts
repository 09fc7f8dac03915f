import type { Digest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { parseManifest, selectManifest } from '#oci/manifest.ts'
import type { Platform } from '#oci/platform.ts'
import { formatReference, type Reference, withDefaultTag } from '#oci/reference.ts'
import type { Document } from '../image/resolve.ts'
import type { OnProgress } from '../progress.ts'
import { accessOf, type RegistryAccess } from '../registry/access.ts'
import { openPlaces } from '../registry/places.ts'
import { chooseMounts, type HeldElsewhere } from './mounts.ts'
import { type Referrer, readReferrers } from './referrers.ts'
import type { ImageSource } from './source.ts'
import { sendToRegistry } from './to-registry.ts'
import { blobsOf, type ImageTree, readImageTree } from './tree.ts'

export interface CopyOptions {
  /** Copies the manifest for this platform alone. Default: all that the name stands for. */
  readonly platform?: Platform | undefined
  /** Whether it is an error when the source lacks some of the platforms of an index. Default false. */
  readonly allPlatforms?: boolean | undefined
  /** Whether signatures, SBOMs and other artifacts that refer to the image come with it. Default false. */
  readonly withReferrers?: boolean | undefined
  /** Blobs on their way at once, or requests for them where they go to a disk. Default 4, or 8. */
  readonly maxConnections?: number | undefined
  /** Bytes per second, at the most. Default: no limit. */
  readonly limitRate?: number | undefined
  /** Hears what a person would like to know when a copy is slow. */
  readonly debug?: ((message: string) => void) | undefined
  readonly onProgress?: OnProgress | undefined
  readonly signal?: AbortSignal | undefined
}

export interface CopyResult {
  /** What the image is called where it is now. */
  readonly name: string
  readonly digest: Digest
  /** Bytes that were transferred. */
  readonly transferred: number
  /** How many signatures, SBOMs and other artifacts came with it. */
  readonly referrers: number
}

export interface RegistryTarget extends RegistryAccess {
  readonly reference: Reference
  /** Where in the same registry blobs are that this image may have. */
  readonly elsewhere?: HeldElsewhere | undefined
}

/**
 * Copies an image to a registry as it is: its digest doesn't change on the way. Blobs stream through memory, each verified
 * before its last bytes leave, and those that the registry has are skipped, or mounted from another of its repositories.
 *
 * Of an index, the manifests that the source lacks must be in the registry already.
 *
 * @throws LAYOUT_INVALID, CONTENT_MISMATCH, IMAGE_UNKNOWN, PLATFORM_UNKNOWN, REGISTRY_UNREACHABLE, REGISTRY_FAILED
 */
export async function copyToRegistry(
  source: ImageSource,
  target: RegistryTarget,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const { onProgress = () => undefined, signal = new AbortController().signal } = options
  const wanted = withDefaultTag(target.reference)
  const { image, referrers } = await readWhatToCopy(source, { ...options, signal })
  const { digest } = image.descriptor
  if (wanted.digest !== undefined && wanted.digest !== digest)
    throw new DrayError('CONTENT_MISMATCH', `the image is ${digest}, not ${wanted.digest}`)
  const mounts = chooseMounts(target.elsewhere, blobsOf([image, ...referrers]))
  const client = await openPlaces(wanted, {
    access: 'push',
    mountFrom: mounts.repositories,
    ...accessOf(target),
    debug: options.debug,
    signal,
  })
  const name = formatReference(wanted)
  onProgress({ type: 'resolved', reference: name, digest })
  const transferred = await sendToRegistry(source, image, referrers, {
    client,
    selector: wanted.tag ?? wanted.digest ?? digest,
    mountFrom: mounts.from,
    maxConnections: options.maxConnections,
    limitRate: options.limitRate,
    onProgress,
    signal,
  })
  return { name, digest, transferred, referrers: referrers.length }
}

/** What a copy takes along. */
export interface WhatToCopy {
  readonly image: ImageTree
  readonly referrers: readonly Referrer[]
}

export async function readWhatToCopy(
  source: ImageSource,
  options: CopyOptions & { readonly signal: AbortSignal },
): Promise<WhatToCopy> {
  const { platform, allPlatforms: whole, withReferrers = false, signal } = options
  const top =
    platform === undefined ? source.top : await findPlatform(source, source.top, platform, signal)
  const image = await readImageTree(source, top, { whole, signal })
  return { image, referrers: withReferrers ? await readReferrers(source, image, signal) : [] }
}

/** Of an index, the manifest for a platform. @throws PLATFORM_UNKNOWN, IMAGE_UNKNOWN */
export async function findPlatform(
  source: ImageSource,
  document: Document,
  platform: Platform,
  signal: AbortSignal,
): Promise<Document> {
  const manifest = parseManifest(document.bytes, document.descriptor.mediaType)
  if (manifest.kind === 'image') return document
  const descriptor = selectManifest(manifest, platform)
  const bytes = await source.readManifest(descriptor, signal)
  if (bytes === undefined)
    throw new DrayError('IMAGE_UNKNOWN', `${source.name} lacks the manifest ${descriptor.digest}`)
  return await findPlatform(source, { descriptor, bytes }, platform, signal)
}
