import pLimit, { type LimitFunction } from 'p-limit'
import type { Descriptor } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { MANIFEST_LIMIT, type Manifest, parseManifest } from '#oci/manifest.ts'
import { isNonDistributable } from '#oci/media-types.ts'
import { formatPlatform } from '#oci/platform.ts'
import { DEEPEST_INDEX, type Document } from '../image/resolve.ts'
import { settleAll } from '../transfer/settle.ts'
import type { ImageSource } from './source.ts'

/** Manifests of one image, all together: bytes that are held in memory. */
const TREE_LIMIT = 64 * 1024 * 1024
/** Manifests that are read at once. */
const AT_ONCE = 8

/** A manifest with everything that it names. */
export interface ImageTree extends Document {
  readonly manifest: Manifest
  /** Of an index, those that are there. */
  readonly children: readonly ImageTree[]
}

export interface ReadTreeOptions {
  /** Whether every manifest of an index must be there. Default false. */
  readonly whole?: boolean | undefined
  readonly signal: AbortSignal
}

/**
 * Reads all manifests of an image, from an index down, several at once.
 *
 * @throws MANIFEST_INVALID, CONTENT_MISMATCH, IMAGE_UNKNOWN when `whole` is asked for and isn't there
 */
export async function readImageTree(
  source: ImageSource,
  top: Document,
  options: ReadTreeOptions,
): Promise<ImageTree> {
  const reading: Reading = {
    ...options,
    source,
    limit: pLimit(AT_ONCE),
    found: new Map(),
    held: { bytes: 0 },
  }
  await readBelow(reading, top, 0)
  return grow(top, reading.found)
}

interface Reading extends ReadTreeOptions {
  readonly source: ImageSource
  readonly limit: LimitFunction
  /** Bytes of manifests; undefined where there is none. */
  readonly found: Map<Digest, Document | undefined>
  readonly held: { bytes: number }
}

async function readBelow(reading: Reading, document: Document, depth: number): Promise<void> {
  const manifest = parseManifest(document.bytes, document.descriptor.mediaType)
  if (manifest.kind !== 'index') return
  if (depth === DEEPEST_INDEX)
    throw new DrayError('MANIFEST_INVALID', 'the image is an index of an index of an index')
  const fresh = manifest.manifests.filter(({ digest }) => !reading.found.has(digest))
  for (const { digest } of fresh) reading.found.set(digest, undefined)
  await settleAll(reading.signal, (signal) =>
    fresh.map(async (descriptor) => {
      const child = await reading.limit(() => readChild({ ...reading, signal }, descriptor))
      if (child === undefined) return
      reading.found.set(descriptor.digest, child)
      reading.held.bytes += child.bytes.length
      if (reading.held.bytes > TREE_LIMIT) throw tooLarge('its manifests are too large', TREE_LIMIT)
      await readBelow({ ...reading, signal }, child, depth + 1)
    }),
  )
}

async function readChild(
  { source, whole = false, signal }: Reading,
  descriptor: Descriptor,
): Promise<Document | undefined> {
  const { digest, size, platform } = descriptor
  if (size > MANIFEST_LIMIT) throw tooLarge(`${digest} has ${size} bytes`, MANIFEST_LIMIT)
  const bytes = await source.readManifest(descriptor, signal)
  if (bytes !== undefined) return { descriptor, bytes }
  if (!whole) return undefined
  const which = platform === undefined ? '' : ` for ${formatPlatform(platform)}`
  throw new DrayError(
    'IMAGE_UNKNOWN',
    `${source.name} lacks the manifest${which} (${digest}): it holds only a part of the image`,
  )
}

function grow(document: Document, found: Reading['found']): ImageTree {
  const manifest = parseManifest(document.bytes, document.descriptor.mediaType)
  const listed = manifest.kind === 'index' ? manifest.manifests : []
  const children = listed.flatMap(({ digest }) => found.get(digest) ?? [])
  return { ...document, manifest, children: children.map((child) => grow(child, found)) }
}

function tooLarge(why: string, limit: number): DrayError {
  return new DrayError('MANIFEST_INVALID', `${why}: at most ${limit} bytes are read`)
}

/** A config or layer of an image. */
export interface TreeBlob {
  readonly descriptor: Descriptor
  readonly kind: 'layer' | 'config'
}

/** The distinct blobs under some manifests, biggest first, so that the longest transfer doesn't start last. */
export function blobsOf(trees: readonly ImageTree[]): TreeBlob[] {
  const blobs = new Map<Digest, TreeBlob>()
  for (const { manifest } of manifestsOf(trees)) {
    if (manifest.kind === 'index') continue
    blobs.set(manifest.config.digest, { descriptor: manifest.config, kind: 'config' })
    for (const descriptor of manifest.layers) {
      if (isNonDistributable(descriptor.mediaType)) continue
      blobs.set(descriptor.digest, { descriptor, kind: 'layer' })
    }
  }
  return [...blobs.values()].sort((a, b) => b.descriptor.size - a.descriptor.size)
}

/** All distinct manifests of some trees, from the inside out: what is named comes before what names it. */
export function manifestsOf(trees: readonly ImageTree[]): ImageTree[] {
  const found = new Map<Digest, ImageTree>()
  const visit = (tree: ImageTree) => {
    if (found.has(tree.descriptor.digest)) return
    tree.children.forEach(visit)
    found.set(tree.descriptor.digest, tree)
  }
  trees.forEach(visit)
  return [...found.values()]
}
