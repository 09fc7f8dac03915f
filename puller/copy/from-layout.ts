import type { Descriptor } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { parseManifest } from '#oci/manifest.ts'
import type { Tag } from '#oci/reference.ts'
import { referrersTag } from '#oci/referrers-tag.ts'
import type { Document } from '../image/resolve.ts'
import { type BlobSource, readManifest } from '../store/blobs.ts'
import { readImageIndex } from '../store/image-index.ts'
import type { ImageSource } from './source.ts'

/** Opens an image of an OCI image layout: the local store, or one on disk. @throws LAYOUT_INVALID, CONTENT_MISMATCH */
export async function layoutSource(
  source: BlobSource,
  descriptor: Descriptor,
): Promise<ImageSource> {
  const bytes = await source.readSmall(descriptor)
  const { mediaType } = parseManifest(bytes, descriptor.mediaType)
  const { digest } = descriptor
  return {
    top: { descriptor: { mediaType, digest, size: bytes.length }, bytes },
    name: source.dir,
    async readManifest(wanted) {
      return (await source.has(wanted)) ? await source.readSmall(wanted) : undefined
    },
    async *readBlob(blob, start) {
      if (!(await source.has(blob))) {
        throw new DrayError(
          'LAYOUT_INVALID',
          `${source.dir} lacks blob ${blob.digest}: pull the image again`,
        )
      }
      yield* source.read(blob, start)
    },
    readTagged: (tag) => findTagged(source, tag),
    listReferrers: (subject) => findReferrers(source, subject),
  }
}

async function findTagged(source: BlobSource, tag: Tag): Promise<Document | undefined> {
  const images = await readImageIndex(source.dir)
  const descriptor = images.find(({ name = '' }) => isTag(name, tag))?.descriptor
  if (descriptor === undefined || !(await source.has(descriptor))) return undefined
  return { descriptor, bytes: await source.readSmall(descriptor) }
}

function isTag(name: string, tag: Tag): boolean {
  return name === tag || name.endsWith(`:${tag}`)
}

/** A layout has no list of referrers: they are among its images, or in an index named like the tag of the spec. */
async function findReferrers(source: BlobSource, subject: Digest): Promise<Descriptor[]> {
  const tag = referrersTag(subject)
  const found = new Map<Digest, Descriptor>()
  for (const { name = '', descriptor } of await readImageIndex(source.dir)) {
    if (!(await source.has(descriptor))) continue
    const manifest = await readManifest(source, descriptor)
    if (manifest.subject?.digest === subject) found.set(descriptor.digest, descriptor)
    const isList = isTag(name, tag) && manifest.kind === 'index'
    for (const child of isList ? manifest.manifests : []) found.set(child.digest, child)
  }
  return [...found.values()]
}
