import type { Digest } from '#oci/digest.ts'
import { isDrayError } from '#oci/error.ts'
import { type ImageConfig, parseImageConfig } from '#oci/image-config.ts'
import type { ImageManifest } from '#oci/manifest.ts'
import { bestFor, formatPlatform, hostPlatform } from '#oci/platform.ts'
import type { Descriptor } from '#oci/descriptor.ts'
import { type BlobSource, readManifest } from '../store/blobs.ts'
import type { Store } from '../store/store.ts'
import { attachedImages } from './attached.ts'

/** An image of the local store, as `dray images` shows it. */
export interface ImageSummary {
  readonly name: string | undefined
  readonly digest: Digest
  /** The platforms whose layers are all here, `os/arch[/variant]`. */
  readonly platforms: readonly string[]
  /** Bytes of its blobs in the store; layers that images share count for each. */
  readonly size: number
  /** When it was made, RFC 3339, if it says so; of several platforms, what fits this machine best, as the labels. */
  readonly created: string | undefined
  readonly labels: Readonly<Record<string, string>>
  /** Whether it belongs to another image that is here, as signatures and SBOMs do. */
  readonly isAttached: boolean
}

/** Lists the images of the store in the order of their names. */
export async function listImages(store: Store): Promise<ImageSummary[]> {
  const summaries: ImageSummary[] = []
  const images = await store.images()
  const attached = await attachedImages(store, images)
  for (const image of images) {
    const { name, descriptor } = image
    const manifests = await manifestsHere(store, descriptor)
    const platforms: string[] = []
    const configs: ImageConfig[] = []
    const blobs = new Map<Digest, number>()
    for (const manifest of manifests) {
      const config = await configOf(store, manifest)
      if (config !== undefined) configs.push(config)
      platforms.push(config === undefined ? typeOf(manifest) : formatPlatform(config))
      for (const blob of [manifest.config, ...manifest.layers]) blobs.set(blob.digest, blob.size)
    }
    const size = [...blobs.values()].reduce((sum, bytes) => sum + bytes, 0)
    const isAttached = attached.has(image)
    const shown = platforms.length === 1 ? platforms : platforms.filter(isPlatform)
    const { created, config: { Labels: labels = {} } = {} } =
      bestFor(hostPlatform(), configs, (each) => each) ?? {}
    const { digest } = descriptor
    summaries.push({ name, digest, platforms: shown, size, created, labels, isAttached })
  }
  return summaries.sort((a, b) => ((a.name ?? '') < (b.name ?? '') ? -1 : 1))
}

/** The manifests under a descriptor of which every blob is here; none under one that is damaged. */
async function manifestsHere(source: BlobSource, descriptor: Descriptor): Promise<ImageManifest[]> {
  if (!(await source.has(descriptor))) return []
  const manifest = await readManifest(source, descriptor).catch(unlessOtherwise)
  if (manifest === undefined) return []
  if (manifest.kind === 'index') {
    const inner = await Promise.all(manifest.manifests.map((child) => manifestsHere(source, child)))
    return inner.flat()
  }
  const here = await Promise.all(
    [manifest.config, ...manifest.layers].map((blob) => source.has(blob)),
  )
  return here.every(Boolean) ? [manifest] : []
}

/** What buildkit calls the platform of an attestation is none. */
function isPlatform(platform: string): boolean {
  return platform !== 'unknown/unknown'
}

function unlessOtherwise(error: unknown): undefined {
  if (!isDrayError(error)) throw error
}

/** Undefined for artifacts that are no container images. */
async function configOf(
  source: BlobSource,
  manifest: ImageManifest,
): Promise<ImageConfig | undefined> {
  try {
    return parseImageConfig(await source.readSmall(manifest.config))
  } catch {
    return undefined
  }
}

function typeOf({ artifactType, config }: ImageManifest): string {
  return artifactType ?? config.mediaType
}
