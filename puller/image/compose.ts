import { type Descriptor, describe } from '#oci/descriptor.ts'
import type { ExecutionConfig, ImageConfig } from '#oci/image-config.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import type { Platform } from '#oci/platform.ts'
import type { Document } from './resolve.ts'
import type { WrittenLayer } from './write-layer.ts'

/** Makes the config of an image out of its layers. Absent fields are left out, so that equal input gives equal bytes. */
export function composeConfig(options: {
  readonly platform: Platform
  readonly execution: ExecutionConfig
  readonly layers: readonly WrittenLayer[]
  readonly createdBy: string
  /** RFC 3339. */
  readonly created?: string | undefined
}): Document {
  const { platform, execution, layers, createdBy, created } = options
  const config: ImageConfig = {
    created,
    architecture: platform.architecture,
    os: platform.os,
    variant: platform.variant,
    config: execution,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created, created_by: createdBy })),
  }
  return document(MEDIA_TYPE.ociConfig, config)
}

/** Makes an OCI manifest. */
export function composeManifest(config: Descriptor, layers: readonly Descriptor[]): Document {
  const mediaType = MEDIA_TYPE.ociManifest
  return document(mediaType, { schemaVersion: 2, mediaType, config, layers })
}

/** A JSON document of an image. */
export function document(mediaType: string, value: unknown): Document {
  const bytes = Buffer.from(JSON.stringify(value))
  return { descriptor: describe(mediaType, bytes), bytes }
}
