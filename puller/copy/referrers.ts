import pLimit from 'p-limit'
import type { Descriptor } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'
import type { Manifest } from '#oci/manifest.ts'
import type { Tag } from '#oci/reference.ts'
import { cosignTags } from '#oci/referrers-tag.ts'
import { settleAll } from '../transfer/settle.ts'
import type { ImageSource } from './source.ts'
import { type ImageTree, manifestsOf, readImageTree } from './tree.ts'

/** Artifacts that refer to artifacts, such as the signature of an SBOM, are followed this far. */
const DEEPEST_REFERRER = 4

/** Subjects that are asked about at once. */
const AT_ONCE = 8

/** An artifact that refers to an image. */
export interface Referrer extends ImageTree {
  /** The tag of cosign's that says so, where no subject does. */
  readonly tag?: Tag | undefined
}

/**
 * Reads what refers to an image, to any of its manifests, and to what refers to those in turn: by subject, or by cosign's tags.
 *
 * @throws what {@link readImageTree} and the source throw
 */
export async function readReferrers(
  source: ImageSource,
  image: ImageTree,
  signal: AbortSignal,
): Promise<Referrer[]> {
  const found = new Map<string, Referrer>()
  const limit = pLimit(AT_ONCE)
  let subjects: readonly ImageTree[] = manifestsOf([image])
  for (let depth = 0; depth < DEEPEST_REFERRER && subjects.length > 0; depth++) {
    const read = await settleAll(signal, (inner) =>
      subjects.map(({ descriptor: { digest } }) =>
        limit(async () => [
          ...(await readListed(source, digest, inner)),
          ...(await readTagged(source, digest, inner)),
        ]),
      ),
    )
    const key = ({ tag, descriptor }: Referrer) => `${tag ?? ''} ${descriptor.digest}`
    const fresh = read.flat().filter((referrer) => !found.has(key(referrer)))
    for (const referrer of fresh) found.set(key(referrer), referrer)
    subjects = fresh
  }
  return [...found.values()]
}

async function readListed(
  source: ImageSource,
  subject: Digest,
  signal: AbortSignal,
): Promise<Referrer[]> {
  const trees: Referrer[] = []
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

async function readTagged(
  source: ImageSource,
  subject: Digest,
  signal: AbortSignal,
): Promise<Referrer[]> {
  const trees: Referrer[] = []
  for (const tag of cosignTags(subject)) {
    const document = await source.readTagged(tag, signal)
    if (document !== undefined)
      trees.push({ ...(await readImageTree(source, document, { signal })), tag })
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
