import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Descriptor } from '#oci/descriptor.ts'
import { type Digest, digestHex } from '#oci/digest.ts'
import { referrersTag } from '#oci/referrers-tag.ts'
import { storeBlobs } from '../image/store-image.ts'
import { blobReporter, type OnProgress } from '../progress.ts'
import { readManifest } from '../store/blobs.ts'
import { publish } from '../store/files.ts'
import type { NamedImage } from '../store/image-index.ts'
import type { Lease } from '../store/lease.ts'
import { withRoom } from '../store/no-room.ts'
import type { Store } from '../store/store.ts'
import { createVerifiedReader } from '../transfer/verified-reader.ts'
import { type CopyOptions, type CopyResult, readWhatToCopy } from './copy.ts'
import { type Referrer, referrerDescriptor } from './referrers.ts'
import { referrersIndex } from './referrers-tag.ts'
import type { ImageSource } from './source.ts'
import { blobsOf, type ImageTree, manifestsOf, type TreeBlob } from './tree.ts'

export interface StoreTarget {
  readonly store: Store
  /** What the image is called there. */
  readonly name: string | undefined
  /** What the list of referrers of an image is called that has this tag for it. */
  nameOfReferrers(tag: string): string
  /** Whether the image that had the name before stays there without one. */
  readonly keepsReplaced: boolean
  /** What to do when its disk is full. Default: as for a local store. */
  readonly roomAdvice?: string | undefined
}

/**
 * Copies an image into a store or layout as it is, as blobs: layers aren't unpacked. From a registry, each blob comes in
 * parallel ranges, and goes on where an earlier copy was killed. Nothing gets a name before all of it is there and verified.
 *
 * @throws LAYOUT_INVALID, CONTENT_MISMATCH, IMAGE_UNKNOWN, PLATFORM_UNKNOWN, REGISTRY_UNREACHABLE, REGISTRY_FAILED,
 *   STORE_FAILED
 */
export async function copyToStore(
  source: ImageSource,
  target: StoreTarget,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const { store } = target
  const copying = async () => {
    const lease = await store.lease()
    try {
      return await copyLeased(source, target, lease, options)
    } finally {
      lease.close()
    }
  }
  return await withRoom(store.layout.content, copying, target.roomAdvice)
}

async function copyLeased(
  source: ImageSource,
  target: StoreTarget,
  lease: Lease,
  options: CopyOptions,
): Promise<CopyResult> {
  const { onProgress = () => undefined, signal = new AbortController().signal } = options
  const { store } = target
  const { image, referrers } = await readWhatToCopy(source, { ...options, signal })
  const { digest } = image.descriptor
  const name = target.name ?? digest
  onProgress({ type: 'resolved', reference: name, digest })
  const transferred = await storeTrees(source, store, [image, ...referrers], {
    ...options,
    lease,
    onProgress,
    signal,
  })
  const named = { name: target.name, descriptor: plain(image.descriptor) }
  await (target.keepsReplaced ? store.name(named) : replaceImage(store, named))
  await nameReferrers(target, referrers, lease)
  return { name, digest, transferred, referrers: referrers.length }
}

async function replaceImage(store: Store, image: NamedImage): Promise<void> {
  await store.change(async (images) => [...images.filter(({ name }) => name !== image.name), image])
}

export interface StoreTreesOptions extends CopyOptions {
  /** Keeps what is brought, and what is there already. */
  readonly lease: Lease
  readonly onProgress: OnProgress
  readonly signal: AbortSignal
}

/**
 * Brings everything that some manifests name into a store, and them.
 *
 * @returns bytes that were transferred
 */
export async function storeTrees(
  source: ImageSource,
  store: Store,
  trees: readonly ImageTree[],
  options: StoreTreesOptions,
): Promise<number> {
  const blobs = blobsOf(trees)
  const all = [...blobs, ...manifestsOf(trees)]
  await options.lease.keep({ blobs: all.map(({ descriptor }) => descriptor.digest) })
  const tasks = blobs.map(({ descriptor, kind }) => ({ blob: descriptor, kind, diffId: undefined }))
  const transferred =
    source.client === undefined
      ? await copyBlobs(source, store, blobs, options)
      : await storeBlobs(store, tasks, { ...options, client: source.client, proxy: source.proxy })
  for (const { descriptor, bytes } of manifestsOf(trees)) {
    if (!(await store.has(descriptor))) await store.writeSmall(descriptor.digest, bytes)
  }
  return transferred
}

/** Gives artifacts names in a store, beside what they refer to: cosign's tags, or lists like those of the spec's referrers tag. */
export async function nameReferrers(
  { store, nameOfReferrers }: Pick<StoreTarget, 'store' | 'nameOfReferrers'>,
  referrers: readonly Referrer[],
  lease: Lease,
): Promise<void> {
  for (const { tag, descriptor } of referrers)
    if (tag !== undefined)
      await replaceImage(store, { name: nameOfReferrers(tag), descriptor: plain(descriptor) })
  const bySubject = Map.groupBy(referrers, ({ manifest }) => manifest.subject?.digest)
  for (const [subject, trees] of bySubject) {
    if (subject === undefined) continue
    const name = nameOfReferrers(referrersTag(subject))
    const listed = await readReferrersList(store, name)
    for (const tree of trees) listed.set(tree.descriptor.digest, referrerDescriptor(tree))
    const { descriptor, bytes } = referrersIndex([...listed.values()])
    await lease.keep({ blobs: [descriptor.digest] })
    await store.writeSmall(descriptor.digest, bytes)
    await replaceImage(store, { name, descriptor })
  }
}

async function readReferrersList(store: Store, name: string): Promise<Map<Digest, Descriptor>> {
  const known = (await store.images()).find((image) => image.name === name)
  const index = known === undefined ? undefined : await readManifest(store, known.descriptor)
  const listed = index?.kind === 'index' ? index.manifests : []
  return new Map(listed.map((descriptor) => [descriptor.digest, descriptor]))
}

/** Copies blobs that are on this machine already. */
async function copyBlobs(
  source: ImageSource,
  store: Store,
  blobs: readonly TreeBlob[],
  { onProgress, signal }: StoreTreesOptions,
): Promise<number> {
  const stage = await store.stage()
  let transferred = 0
  try {
    await mkdir(stage.dir, { mode: 0o700 })
    for (const { descriptor, kind } of blobs) {
      const { digest, size } = descriptor
      const report = blobReporter(onProgress, descriptor, kind)
      const isThere = await store.has(descriptor)
      if (!isThere) {
        const path = join(stage.dir, digestHex(digest))
        const reader = createVerifiedReader(
          descriptor,
          (start) => source.readBlob(descriptor, start, signal),
          (bytes) => report('transferring', bytes),
        )
        const file = createWriteStream(path, { mode: 0o644, flush: true })
        await pipeline(reader.open(0), file, { signal })
        await publish(path, store.pathOf(descriptor))
        transferred += size
      }
      report(isThere ? 'exists' : 'done', size)
    }
  } finally {
    await stage.close()
  }
  return transferred
}

/** A descriptor as an index of images has it: without what an index of platforms says of it. */
function plain({ mediaType, digest, size, platform }: Descriptor): Descriptor {
  return { mediaType, digest, size, ...(platform === undefined ? {} : { platform }) }
}
