import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Descriptor, describe } from '#oci/descriptor.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parseRepositoryName } from '#oci/reference.ts'
import { openRepository } from '#puller/registry/client.ts'
import { Readable } from 'node:stream'
import { type SmallImage, smallImage, tarOf } from '../../support/small-image.ts'

/** Documents and blobs by digest, and which of them are manifests: what names others comes after them. */
export interface ImageSet {
  readonly top: Descriptor
  readonly manifests: readonly Descriptor[]
  readonly blobs: ReadonlyMap<string, Buffer>
}

export const AMD64 = smallImage([tarOf({ hello: 'amd64' }), tarOf({ common: 'x' })])
export const ARM64 = smallImage([tarOf({ hello: 'arm64' }), tarOf({ common: 'x' })], {
  config: { architecture: 'arm64' },
})

/** An image for two platforms. */
export const BOTH: ImageSet = indexOf([
  [AMD64, 'amd64'],
  [ARM64, 'arm64'],
])

/** An image of several, in this order. */
export function indexOf(
  images: readonly (readonly [SmallImage, string, Readonly<Record<string, string>>?])[],
): ImageSet {
  const mediaType = MEDIA_TYPE.ociIndex
  const manifests = images.map(([{ manifest }, architecture, annotations]) => ({
    ...manifest,
    platform: { os: 'linux', architecture },
    annotations,
  }))
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }))
  const top = describe(mediaType, bytes)
  const blobs = new Map(images.flatMap(([image]) => [...image.blobs]))
  blobs.set(top.digest, bytes)
  return { top, manifests: [...images.map(([image]) => image.manifest), top], blobs }
}

/** An artifact that refers to a manifest. */
export function artifactOn(subject: Descriptor, artifactType: string): ImageSet {
  const image = smallImage([tarOf({ [artifactType]: subject.digest })], {
    manifest: { artifactType, subject },
  })
  return setOf(image)
}

export function setOf(image: SmallImage): ImageSet {
  return { top: image.manifest, manifests: [image.manifest], blobs: image.blobs }
}

/** Pushes without help of what is tested. */
export async function seed(
  host: string,
  repository: string,
  { top, manifests, blobs }: ImageSet,
  tag?: string,
): Promise<void> {
  const client = await openRepository({
    registry: host,
    repository: parseRepositoryName(repository),
    access: 'push',
  })
  const isManifest = (digest: string) => manifests.some((each) => each.digest === digest)
  for (const [digest, bytes] of blobs) {
    if (isManifest(digest)) continue
    const blob = describe(MEDIA_TYPE.ociLayer, bytes)
    await client.uploadBlob({ blob, open: () => Readable.from([bytes]) }).send()
  }
  for (const { digest, mediaType } of manifests) {
    const bytes = blobs.get(digest) ?? Buffer.alloc(0)
    await client.putManifest(digest === top.digest && tag ? tag : digest, bytes, mediaType)
  }
}

/** Writes an OCI image layout that lacks the blobs that `lacks` says. */
export function writeLayoutOf(
  dir: string,
  { top, blobs }: ImageSet,
  {
    name,
    lacks = () => false,
  }: { readonly name?: string; readonly lacks?: (digest: string) => boolean } = {},
): void {
  for (const [digest, bytes] of blobs) {
    if (lacks(digest)) continue
    const path = join(dir, 'blobs', ...digest.split(':'))
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, bytes)
  }
  const annotations = name === undefined ? {} : { 'org.opencontainers.image.ref.name': name }
  const index = { schemaVersion: 2, manifests: [{ ...top, annotations }] }
  writeFileSync(join(dir, 'index.json'), JSON.stringify(index))
  writeFileSync(join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
}
