import { join } from 'node:path'
import { type Digest, digestAlgorithm, digestHex } from '#oci/digest.ts'

/**
 * Every path of the local store.
 *
 *     <root>/
 *       content/                      an OCI image layout: any tool can read it
 *         oci-layout  index.json
 *         blobs/<algorithm>/<hex>
 *       ingest/<algorithm>-<hex>/     a blob on its way; survives kill -9
 *         lock                        flock of the process that fetches it
 *         data                        the bytes, each at its offset
 *         ranges                      "start end" of each range that is whole, a line each
 *       layers/<algorithm>/<hex>/     a layer, by diffID
 *         layer.json
 *         blobs                       digests of blobs that were found to unpack to it, a line each
 *         tree/                       of form dir: its files
 *         tar  image                  of form erofs: its tar, and the EROFS metadata that points into it
 *       mounts/<algorithm>-<hex>/     where a layer of form erofs is mounted; not there while it isn't
 *       mounts/lock                   flock held while layers are mounted and unmounted
 *       fixups/<algorithm>/<hex>/     directories that layers of a stack imply, by chainID
 *       compressed/<algorithm>/<hex>.<format>-<level>
 *                                     digest and size of a layer, by diffID, that a push compressed so
 *       staging/<nonce>/              half-made trees; nothing in it is ever referred to
 *       leases/<nonce>                what a process works with, "blobs <digest>" and so on, a line each; it holds the flock
 *       reserve/                      room that removing things takes on a full disk; nothing reads it
 *       lock                          flock held while index.json is replaced, a lease grows, or garbage is moved away
 */
export interface StoreLayout {
  readonly root: string
  readonly content: string
  readonly index: string
  readonly ociLayout: string
  readonly ingests: string
  readonly staging: string
  readonly leases: string
  readonly reserve: string
  readonly lock: string
  blob(digest: Digest): string
  ingest(digest: Digest): IngestPaths
  layer(diffId: Digest): LayerPaths
  readonly layers: string
  readonly fixups: string
  /** What is known of a layer when it is compressed in some way, such as `zstd-3`. */
  compressedLayer(diffId: Digest, way: string): string
  readonly compressed: string
  readonly mounts: string
  readonly mountsLock: string
  mount(diffId: Digest): string
  fixup(chainId: Digest): string
}

export interface IngestPaths {
  readonly dir: string
  readonly lock: string
  readonly data: string
  readonly ranges: string
}

export interface LayerPaths {
  readonly dir: string
  readonly record: string
  readonly blobs: string
  readonly tree: string
  readonly tar: string
  readonly image: string
}

/** @param content where the image layout is, if not in `root` */
export function storeLayout(root: string, content = join(root, 'content')): StoreLayout {
  const layers = join(root, 'layers')
  const fixups = join(root, 'fixups')
  const compressed = join(root, 'compressed')
  const mounts = join(root, 'mounts')
  return {
    root,
    content,
    index: join(content, 'index.json'),
    ociLayout: join(content, 'oci-layout'),
    ingests: join(root, 'ingest'),
    staging: join(root, 'staging'),
    leases: join(root, 'leases'),
    reserve: join(root, 'reserve'),
    lock: join(root, 'lock'),
    blob: (digest) => blobPath(content, digest),
    ingest(digest) {
      const dir = join(root, 'ingest', `${digestAlgorithm(digest)}-${digestHex(digest)}`)
      return { dir, lock: join(dir, 'lock'), data: join(dir, 'data'), ranges: join(dir, 'ranges') }
    },
    layer(diffId) {
      const dir = join(layers, digestAlgorithm(diffId), digestHex(diffId))
      return { dir, ...layerParts(dir) }
    },
    layers,
    fixups,
    compressedLayer: (diffId, way) =>
      join(compressed, digestAlgorithm(diffId), `${digestHex(diffId)}.${way}`),
    compressed,
    mounts,
    mountsLock: join(mounts, 'lock'),
    mount: (diffId) => join(mounts, `${digestAlgorithm(diffId)}-${digestHex(diffId)}`),
    fixup: (chainId) => join(fixups, digestAlgorithm(chainId), digestHex(chainId)),
  }
}

/** What a layer directory holds, also while it is staged. */
export function layerParts(dir: string): Omit<LayerPaths, 'dir'> {
  return {
    record: join(dir, 'layer.json'),
    blobs: join(dir, 'blobs'),
    tree: join(dir, 'tree'),
    tar: join(dir, 'tar'),
    image: join(dir, 'image'),
  }
}

/** Where an OCI image layout keeps a blob (image-spec, image-layout.md "Blobs"). */
export function blobPath(layoutDir: string, digest: Digest): string {
  return join(layoutDir, 'blobs', digestAlgorithm(digest), digestHex(digest))
}
