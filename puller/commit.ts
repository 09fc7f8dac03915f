import { existsSync } from 'node:fs'
import type { Digest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import type { ExecutionConfig, ImageConfig } from '#oci/image-config.ts'
import { type ImageManifest, parseManifest } from '#oci/manifest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { formatReference, type Reference, withDefaultTag } from '#oci/reference.ts'
import { document, storeComposed } from './image/compose.ts'
import { writeLayer } from './image/write-layer.ts'
import type { Store } from './store/store.ts'
import { writeTar } from './tar/writer.ts'

export interface CommitOptions {
  /** The manifest that the new image builds on, and its config. */
  readonly base: Digest
  readonly config: ImageConfig
  /** How a container of the new image runs by default. */
  readonly execution: ExecutionConfig
  /** The upper directory of an overlay over the image. Somebody may write to it meanwhile; absent, nothing was changed. */
  readonly upper: string
  /** Paths below it that are no change, relative to it. */
  readonly leaveOut: ReadonlySet<string>
  readonly reference: Reference
  readonly author?: string | undefined
  readonly comment?: string | undefined
  /** RFC 3339. */
  readonly created: string
  readonly signal?: AbortSignal | undefined
}

/**
 * Makes an image of another one and of what was changed above it: one more layer, unless nothing ever was.
 *
 * @returns the digest of its manifest
 * @throws LAYOUT_INVALID when the image that it builds on is gone; LAYER_INVALID, STORE_FAILED
 */
export async function commitImage(store: Store, options: CommitOptions): Promise<Digest> {
  const stage = await store.stage()
  const lease = await store.lease()
  try {
    await lease.keep({ blobs: [options.base] })
    const base = await readBase(store, options.base)
    await lease.keep({ blobs: base.layers.map(({ digest }) => digest) })
    const { upper, leaveOut, signal } = options
    const added = []
    if (existsSync(upper)) {
      const tar = writeTar(upper, { purpose: 'changes', isLive: true, leaveOut })
      const places = { layoutDir: store.dir, stageDir: stage.dir }
      added.push(await writeLayer(tar, { ...places, lease, signal }))
    }
    const diffIds = added.map(({ diffId }) => diffId)
    const config = document(MEDIA_TYPE.ociConfig, nextConfig(options, diffIds))
    const name = formatReference(withDefaultTag(options.reference))
    const layers = [...base.layers, ...added.map(({ descriptor }) => descriptor)]
    return (await storeComposed(store, lease, { name, config, layers })).digest
  } finally {
    lease.close()
    await stage.close()
  }
}

function nextConfig(options: CommitOptions, diffIds: readonly Digest[]): ImageConfig {
  const { config, execution, created, author, comment } = options
  const made = {
    ...{ created, created_by: 'dray commit', author, comment },
    ...(diffIds.length === 0 && { empty_layer: true }),
  }
  return {
    ...config,
    created,
    author,
    config: execution,
    rootfs: { type: 'layers', diff_ids: [...config.rootfs.diff_ids, ...diffIds] },
    history: [...(config.history ?? []), made],
  }
}

async function readBase(store: Store, digest: Digest): Promise<ImageManifest> {
  const manifest = parseManifest(
    await store.readSmall({ mediaType: MEDIA_TYPE.ociManifest, digest, size: 0 }),
  )
  if (manifest.kind === 'image') return manifest
  throw new DrayError('LAYOUT_INVALID', `${digest} is an index, and no image to build on`)
}
