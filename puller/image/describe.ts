import type { Descriptor } from '#oci/descriptor.ts'
import { type ImageConfig, parseImageConfig } from '#oci/image-config.ts'
import type { ImageManifest } from '#oci/manifest.ts'
import { isImageConfigType } from '#oci/media-types.ts'
import { bestFor, formatPlatform, hostPlatform, type Platform } from '#oci/platform.ts'
import type { Store } from '../store/store.ts'
import { findLocal, repositoryOf } from './find-local.ts'
import { walkImage } from './walk.ts'

/** A manifest of an image that is here, with its config; undefined for artifacts that are no container images. */
interface Variant {
  readonly descriptor: Descriptor
  readonly manifest: ImageManifest
  readonly config: ImageConfig | undefined
}

/**
 * All that is known of an image of the local store, in the words of docker's `inspect`: of an index, the manifest that fits the
 * platform best, unless one was asked for, by its digest or that of its config.
 *
 * @param text what {@link findLocal} finds it by
 * @throws IMAGE_UNKNOWN, USAGE, LAYOUT_INVALID, CONTENT_MISMATCH
 */
export async function describeImage(
  store: Store,
  text: string,
  platform: Platform = hostPlatform(),
) {
  const { descriptor, names, manifest } = await findLocal(store, await store.images(), text)
  const variants = await readVariants(store, descriptor)
  const asked = variants.find((each) => each.descriptor.digest === manifest?.digest)
  const chosen = asked ?? bestFor(platform, variants, ({ config }) => config)
  const config = chosen?.config
  const { digest, mediaType, size } = descriptor
  return {
    Id: digest,
    RepoTags: names.filter((name) => !name.includes('@')),
    RepoDigests: [...new Set(names.map(repositoryOf))].map((name) => `${name}@${digest}`),
    Descriptor: { mediaType, digest, size },
    Platforms: variants.flatMap((each) => (each.config ? [formatPlatform(each.config)] : [])),
    ManifestDigest: chosen?.descriptor.digest ?? digest,
    ConfigDigest: chosen?.manifest.config.digest ?? '',
    Created: config?.created ?? '',
    Author: config?.author ?? '',
    Architecture: config?.architecture ?? '',
    Variant: config?.variant ?? '',
    Os: config?.os ?? '',
    Size: sizeOf(chosen),
    Config: describeConfig(config?.config),
    RootFS: { Type: 'layers', Layers: config?.rootfs.diff_ids ?? [] },
    Layers: (chosen?.manifest.layers ?? []).map((layer) => ({
      MediaType: layer.mediaType,
      Digest: layer.digest,
      Size: layer.size,
    })),
    History: (config?.history ?? []).map((step) => ({
      Created: step.created ?? '',
      CreatedBy: step.created_by ?? '',
      Comment: step.comment ?? '',
      EmptyLayer: step.empty_layer ?? false,
    })),
    Annotations: chosen?.manifest.annotations ?? {},
  }
}

async function readVariants(store: Store, top: Descriptor): Promise<Variant[]> {
  const variants: Variant[] = []
  for await (const { descriptor, manifest } of walkImage(store, top)) {
    if (manifest.kind === 'index') continue
    const isImage = isImageConfigType(manifest.config.mediaType)
    const config = isImage ? parseImageConfig(await store.readSmall(manifest.config)) : undefined
    variants.push({ descriptor, manifest, config })
  }
  return variants
}

/** Bytes of the blobs of a manifest. */
function sizeOf(variant: Variant | undefined): number {
  if (variant === undefined) return 0
  const { config, layers } = variant.manifest
  return [config, ...layers].reduce((sum, { size }) => sum + size, 0)
}

function describeConfig(config: ImageConfig['config'] = {}) {
  return {
    User: config.User ?? '',
    ExposedPorts: config.ExposedPorts ?? {},
    Env: config.Env ?? [],
    Entrypoint: config.Entrypoint ?? [],
    Cmd: config.Cmd ?? [],
    Volumes: config.Volumes ?? {},
    WorkingDir: config.WorkingDir ?? '',
    Labels: config.Labels ?? {},
    StopSignal: config.StopSignal ?? '',
    ...(config.Healthcheck && { Healthcheck: config.Healthcheck }),
  }
}
