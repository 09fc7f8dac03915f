import { describe } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'

/** Encodes a document as it would come over the wire. */
export function bytesOf(value: unknown): Uint8Array {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
}

/** A layer descriptor with content of its own for every `text`. */
export function layer(text: string): { mediaType: string; digest: Digest; size: number } {
  const { mediaType, digest, size } = describe(MEDIA_TYPE.ociLayerGzip, Buffer.from(text))
  return { mediaType, digest, size }
}

/** The fields of a small OCI manifest. */
export function ociManifest(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    config: describe(MEDIA_TYPE.ociConfig, Buffer.from('{}')),
    layers: [layer('one'), layer('two')],
    ...fields,
  }
}

/** The fields of a small OCI index, with an entry for each platform. */
export function ociIndex(
  platforms: readonly (Record<string, unknown> | undefined)[],
  fields: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociIndex,
    manifests: platforms.map((platform, n) => ({
      ...describe(MEDIA_TYPE.ociManifest, Buffer.from(`manifest ${n}`)),
      ...(platform === undefined ? {} : { platform }),
    })),
    ...fields,
  }
}
