import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import pLimit from 'p-limit'
import type { Descriptor } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import type { ImageManifest, Manifest } from '#oci/manifest.ts'
import { isNonDistributable } from '#oci/media-types.ts'
import { formatReference, type Reference, withDefaultTag } from '#oci/reference.ts'
import type { OnProgress, ProgressEvent } from './progress.ts'
import { accessOf, type RegistryAccess } from './registry/access.ts'
import type { RepositoryClient } from './registry/client.ts'
import { openPlaces } from './registry/places.ts'
import { type BlobSource, readManifest } from './store/blobs.ts'
import { withRetries } from './transfer/retry.ts'
import { settleAll } from './transfer/settle.ts'

const MiB = 1024 * 1024

/** Blobs sent at once by default. */
const MAX_CONNECTIONS = 4

export interface PushOptions extends RegistryAccess {
  /** Blobs sent at once. Default 4. */
  readonly maxConnections?: number | undefined
  readonly onProgress?: OnProgress | undefined
  readonly signal?: AbortSignal | undefined
}

export interface PushResult {
  /** The full reference that it was pushed to. */
  readonly name: string
  readonly digest: Digest
  /** Bytes that were sent. */
  readonly transferred: number
}

/** An image in an OCI image layout: the local store, or one on disk. */
export interface LocalImage {
  readonly source: BlobSource
  /** Its manifest or index. */
  readonly descriptor: Descriptor
}

/** A manifest with everything that must be in the registry before it. */
interface Node {
  readonly descriptor: Descriptor
  readonly manifest: Manifest
  readonly children: readonly Node[]
}

/**
 * Pushes an image as it is: blobs that the registry lacks, several at once, then manifests from the inside out, so
 * that the registry never holds a manifest without its parts. The digest doesn't change on the way.
 *
 * Of an index, the manifests that this layout doesn't hold must be in the registry already.
 *
 * @throws LAYOUT_INVALID, CONTENT_MISMATCH, REGISTRY_UNREACHABLE, REGISTRY_FAILED
 */
export async function pushImage(
  image: LocalImage,
  target: Reference,
  options: PushOptions = {},
): Promise<PushResult> {
  const { onProgress = () => undefined, signal = new AbortController().signal } = options
  const wanted = withDefaultTag(target)
  if (wanted.digest !== undefined && wanted.digest !== image.descriptor.digest) {
    throw new DrayError(
      'CONTENT_MISMATCH',
      `the image is ${image.descriptor.digest}, not ${wanted.digest}`,
    )
  }
  const root = await readTree(image.source, image.descriptor)
  const client = await openPlaces(wanted, {
    access: 'push',
    ...accessOf(options),
    signal,
  })
  const name = formatReference(wanted)
  onProgress({ type: 'resolved', reference: name, digest: image.descriptor.digest })
  const limit = pLimit(options.maxConnections ?? MAX_CONNECTIONS)
  const context = { client, source: image.source, onProgress }
  const sizes = await settleAll(signal, (inner) =>
    distinctBlobs(root).map((blob) => limit(() => pushBlob({ ...context, signal: inner }, blob))),
  )
  await pushManifests(
    { ...context, signal },
    root,
    wanted.tag ?? wanted.digest ?? root.descriptor.digest,
  )
  return {
    name,
    digest: root.descriptor.digest,
    transferred: sizes.reduce((sum, size) => sum + size, 0),
  }
}

interface Context {
  readonly client: RepositoryClient
  readonly source: BlobSource
  readonly onProgress: OnProgress
  readonly signal: AbortSignal
}

async function readTree(source: BlobSource, descriptor: Descriptor): Promise<Node> {
  const manifest = await readManifest(source, descriptor)
  const children: Node[] = []
  if (manifest.kind === 'index') {
    for (const child of manifest.manifests) {
      if (await source.has(child)) children.push(await readTree(source, child))
    }
  }
  return { descriptor, manifest, children }
}

/** Biggest first, so that the longest transfer doesn't start last. */
function distinctBlobs(root: Node): Blob[] {
  const blobs = new Map<Digest, Blob>()
  const visit = ({ manifest, children }: Node) => {
    children.forEach(visit)
    if (manifest.kind === 'image')
      for (const blob of blobsOf(manifest)) blobs.set(blob.descriptor.digest, blob)
  }
  visit(root)
  return [...blobs.values()].sort((a, b) => b.descriptor.size - a.descriptor.size)
}

interface Blob {
  readonly descriptor: Descriptor
  readonly kind: 'layer' | 'config'
}

function blobsOf({ config, layers }: ImageManifest): Blob[] {
  return [
    { descriptor: config, kind: 'config' },
    ...layers
      .filter(({ mediaType }) => !isNonDistributable(mediaType))
      .map((descriptor) => ({ descriptor, kind: 'layer' }) as const),
  ]
}

/** @returns bytes sent */
async function pushBlob(context: Context, { descriptor, kind }: Blob): Promise<number> {
  const { client, source, onProgress, signal } = context
  const report = (state: (ProgressEvent & { type: 'blob' })['state'], bytes: number) =>
    onProgress({
      type: 'blob',
      digest: descriptor.digest,
      kind,
      state,
      bytes,
      total: descriptor.size,
    })
  return await withRetries(
    async () => {
      report('waiting', 0)
      if (await client.hasBlob(descriptor.digest, signal)) {
        report('exists', descriptor.size)
        return 0
      }
      if (!(await source.has(descriptor))) {
        throw new DrayError(
          'LAYOUT_INVALID',
          `${source.dir} lacks blob ${descriptor.digest}: pull the image again`,
        )
      }
      const open = () =>
        counted(source.pathOf(descriptor), (bytes) => report('transferring', bytes))
      await client.putBlob(descriptor, open, signal)
      report('done', descriptor.size)
      return descriptor.size
    },
    { signal },
  )
}

/** Reads a file, telling how far it is. */
function counted(path: string, onBytes: (bytes: number) => void): Readable {
  async function* read() {
    let bytes = 0
    for await (const chunk of createReadStream(path, { highWaterMark: MiB })) {
      bytes += chunk.length
      onBytes(bytes)
      yield chunk
    }
  }
  return Readable.from(read(), { objectMode: false, highWaterMark: MiB })
}

async function pushManifests(context: Context, node: Node, selector: string): Promise<void> {
  const { client, source, signal } = context
  for (const child of node.children) await pushManifests(context, child, child.descriptor.digest)
  const bytes = await source.readSmall(node.descriptor)
  await withRetries(() => client.putManifest(selector, bytes, node.manifest.mediaType, signal), {
    signal,
  })
}
