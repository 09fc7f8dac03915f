import { relative, sep } from 'node:path'
import { chainId } from '#oci/chain-id.ts'
import type { Descriptor } from '#oci/descriptor.ts'
import { type Digest, isDigest } from '#oci/digest.ts'
import { isDrayError } from '#oci/error.ts'
import { parseImageConfig } from '#oci/image-config.ts'
import { isImageConfigType } from '#oci/media-types.ts'
import { type BlobFiles, readManifest } from './blobs.ts'
import { exists } from './files.ts'
import type { StoreLayout } from './layout.ts'

/** Things of a store, by kind: blobs by digest, unpacked layers and what they are compressed by diffID, fixups by chainID. */
export interface Contents {
  readonly blobs: Set<Digest>
  readonly layers: Set<Digest>
  readonly fixups: Set<Digest>
  readonly compressed: Set<Digest>
}

/** Some things of a store. */
export type SomeContents = { readonly [kind in keyof Contents]?: Iterable<Digest> }

export const KINDS = [
  'blobs',
  'layers',
  'fixups',
  'compressed',
] as const satisfies readonly (keyof Contents)[]

export function noContents(): Contents {
  return { blobs: new Set(), layers: new Set(), fixups: new Set(), compressed: new Set() }
}

export function addContents(to: Contents, some: SomeContents): void {
  for (const kind of KINDS) for (const digest of some[kind] ?? []) to[kind].add(digest)
}

/** The layers of these diffIDs, with what is known of them, and what their stack needs. */
export function stackContents(diffIds: readonly Digest[]): SomeContents {
  const chain = chainId(diffIds)
  return { layers: diffIds, fixups: chain === undefined ? [] : [chain], compressed: diffIds }
}

/**
 * Everything that images need of a store, whether it is there or not: of an index, what the manifests need that are there.
 *
 * @throws CONTENT_MISMATCH, MANIFEST_INVALID for a document that is damaged
 */
export async function contentsOf(
  source: BlobFiles,
  descriptors: readonly Descriptor[],
): Promise<Contents> {
  const contents = noContents()
  for (const descriptor of descriptors) await addImage(source, descriptor, contents)
  return contents
}

/** Digests of an image's manifests, and of what else it has; of a damaged one, what it goes by. */
export async function manifestsOf(
  source: BlobFiles,
  descriptor: Descriptor,
): Promise<ReadonlySet<Digest>> {
  try {
    return (await contentsOf(source, [descriptor])).blobs
  } catch (error) {
    if (!isDrayError(error)) throw error
    return new Set([descriptor.digest])
  }
}

async function addImage(source: BlobFiles, descriptor: Descriptor, to: Contents): Promise<void> {
  if (to.blobs.has(descriptor.digest)) return
  to.blobs.add(descriptor.digest)
  if (!(await exists(source.pathOf(descriptor)))) return
  const manifest = await readManifest(source, descriptor)
  if (manifest.kind === 'index') {
    for (const child of manifest.manifests) await addImage(source, child, to)
    return
  }
  const { config, layers } = manifest
  addContents(to, { blobs: [config.digest, ...layers.map(({ digest }) => digest)] })
  if (!isImageConfigType(config.mediaType) || !(await exists(source.pathOf(config)))) return
  addContents(to, stackContents(diffIdsOf(await source.readSmall(config))))
}

/** None of a config that was copied here as it is and makes no sense: no layer was ever unpacked for it. */
function diffIdsOf(config: Buffer): readonly Digest[] {
  try {
    return parseImageConfig(config).rootfs.diff_ids
  } catch (error) {
    if (isDrayError(error)) return []
    throw error
  }
}

/** The layers and fixups that directories of a store belong to; others count for nothing. */
export function contentsOfDirs(layout: StoreLayout, dirs: readonly string[]): SomeContents {
  const layers: Digest[] = []
  const fixups: Digest[] = []
  for (const dir of dirs) {
    const [place, first = '', second = ''] = relative(layout.root, dir).split(sep)
    const digest = place === 'mounts' ? first.replace('-', ':') : `${first}:${second}`
    if (!isDigest(digest)) continue
    if (place === 'layers' || place === 'mounts') layers.push(digest)
    if (place === 'fixups') fixups.push(digest)
  }
  return { layers, fixups }
}
