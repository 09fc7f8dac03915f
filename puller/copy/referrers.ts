import type { Descriptor } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'
import type { Manifest } from '#oci/manifest.ts'
import { settleAll } from '../transfer/settle.ts'
import type { ImageSource } from './source.ts'
import { type ImageTree, manifestsOf, readImageTree } from './tree.ts'

/** Artifacts that refer to artifacts, such as the signature of an SBOM, are followed this far. */
const DEEPEST_REFERRER = 4

/**
 * Reads what refers to an image, to any of its manifests, and to what refers to those in turn.
 *
 * @throws what {@link readImageTree} and the source throw
 */
export async function readReferrers(
  source: ImageSource,
  image: ImageTree,
  signal: AbortSignal,
): Promise<ImageTree[]> {
  const found = new Map<Digest, ImageTree>()
  let subjects = manifestsOf([image])
  for (let depth = 0; depth < DEEPEST_REFERRER && subjects.length > 0; depth++) {
    const fresh = await settleAll(signal, (inner) =>
      subjects.map(({ descriptor }) => readReferrersOf(source, descriptor.digest, inner)),
    )
    subjects = fresh.flat().filter(({ descriptor }) => !found.has(descriptor.digest))
    for (const tree of subjects) found.set(tree.descriptor.digest, tree)
  }
  return [...found.values()]
}

async function readReferrersOf(
  source: ImageSource,
  subject: Digest,
  signal: AbortSignal,
): Promise<ImageTree[]> {
  const trees: ImageTree[] = []
  for (const { mediaType, digest, size } of await source.listReferrers(subject, signal)) {
    const descriptor: Descriptor = { mediaType, digest, size }
    const bytes = await source.readManifest(descriptor, signal)
    if (bytes === undefined) continue
    const tree = await readImageTree(source, { descriptor, bytes }, { signal })
    // Lists can be written by anyone; what a manifest says of itself counts.
    if (tree.manifest.subject?.digest === subject) trees.push(tree)
  }
  return trees
}

/** How a manifest is listed among the referrers of its subject (distribution-spec, "Listing Referrers"). */
export function referrerDescriptor({ descriptor, manifest }: ImageTree): Descriptor {
  const { mediaType, digest, size } = descriptor
  const { annotations } = manifest
  const artifactType = artifactTypeOf(manifest)
  return {
    ...{ mediaType, digest, size },
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations === undefined ? {} : { annotations }),
  }
}

function artifactTypeOf(manifest: Manifest): string | undefined {
  if (manifest.artifactType !== undefined) return manifest.artifactType
  return manifest.kind === 'image' ? manifest.config.mediaType : undefined
}
