import { createHash } from 'node:crypto'
import * as z from 'zod'
import { type Descriptor, describe } from '#oci/descriptor.ts'
import { type Digest, finishDigest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { IMAGE_CONFIG_LIMIT, parseImageConfig } from '#oci/image-config.ts'
import { parseJson } from '#oci/json.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { absentable, check } from '#oci/schema.ts'
import { composeManifest } from '../image/compose.ts'
import { type LayerCompression, USUAL_COMPRESSION } from '../image/compression.ts'
import { type WriteLayerOptions, writeLayer } from '../image/write-layer.ts'
import { naming } from '../error-in.ts'
import { compressionOf } from '../layers/compression-of.ts'
import { decompress } from '../layers/decompress.ts'
import { expandByProgram } from '../layers/host-program.ts'
import { writeSmallBlob } from '../store/blobs.ts'
import { checkedTar } from '../tar/check.ts'
import { invalid, type Member, type Members, streamOf } from './members.ts'

/** docker's list of the images of an archive. */
export const DOCKER_LIST = 'manifest.json'

const listSchema = z.array(
  z.object({
    Config: z.string(),
    RepoTags: absentable(z.array(z.string())),
    Layers: absentable(z.array(z.string())),
  }),
)

/** An image of docker's list. */
export type ListedImage = z.output<typeof listSchema>[number]

/** @throws ARCHIVE_INVALID */
export function readDockerList(members: Members): ListedImage[] {
  const list = parseJson(members.read(DOCKER_LIST, IMAGE_CONFIG_LIMIT), {
    code: 'ARCHIVE_INVALID',
    maxBytes: IMAGE_CONFIG_LIMIT,
  })
  return check(listSchema, list, `${DOCKER_LIST} of ${members.where}`, 'ARCHIVE_INVALID')
}

export interface ConvertOptions extends WriteLayerOptions {
  /** Makes a member of the archive a blob. */
  readonly place: (member: Member, digest: Digest) => Promise<void>
  /** What layers become that have to be compressed. */
  readonly known?: CompressedBefore | undefined
}

/** What is known of layers from having compressed them. */
export interface CompressedBefore {
  /** The blob of the layer of this diffID, which needn't be written; undefined when it has to be. */
  find(diffId: Digest, compression: LayerCompression): Promise<Descriptor | undefined>
  keep(diffId: Digest, compression: LayerCompression, blob: Descriptor): Promise<void>
}

/**
 * Turns images of a docker-archive into OCI images of a layout: configs stay as they are, byte for byte, and so do layers that are
 * compressed as layers may be; the others are compressed, with gzip unless something else is asked for.
 *
 * @returns the manifest of each image
 * @throws ARCHIVE_INVALID, IMAGE_CONFIG_INVALID, DIFF_ID_MISMATCH, TAR_INVALID, COMPRESSION_INVALID
 */
export async function convertDockerImages(
  members: Members,
  images: readonly ListedImage[],
  options: ConvertOptions,
): Promise<Descriptor[]> {
  const layers = new Map<Digest, Descriptor>()
  const manifests: Descriptor[] = []
  for (const image of images) manifests.push(await convert(members, image, layers, options))
  return manifests
}

async function convert(
  members: Members,
  image: ListedImage,
  known: Map<Digest, Descriptor>,
  options: ConvertOptions,
): Promise<Descriptor> {
  const bytes = members.read(image.Config, IMAGE_CONFIG_LIMIT)
  const diffIds = parseImageConfig(bytes).rootfs.diff_ids
  const names = image.Layers ?? []
  if (names.length !== diffIds.length) {
    const why = `its config names ${diffIds.length} layers, its ${DOCKER_LIST} ${names.length}`
    throw invalid(members.where, why)
  }
  const layers: Descriptor[] = []
  for (const [at, diffId] of diffIds.entries()) {
    const layer =
      known.get(diffId) ?? (await convertLayer(members, names[at] ?? '', diffId, options))
    known.set(diffId, layer)
    layers.push(layer)
  }
  const config = { descriptor: describe(MEDIA_TYPE.ociConfig, bytes), bytes }
  const manifest = composeManifest(config.descriptor, layers)
  for (const { descriptor, bytes } of [config, manifest])
    await writeSmallBlob(options.layoutDir, descriptor.digest, bytes)
  return manifest.descriptor
}

async function convertLayer(
  members: Members,
  name: string,
  diffId: Digest,
  options: ConvertOptions,
): Promise<Descriptor> {
  const member = members.find(name)
  const compression = await compressionOf(streamOf(member))
  const checkDiffId = (actual: Digest) => {
    if (actual === diffId) return
    throw new DrayError(
      'DIFF_ID_MISMATCH',
      `layer ${name} of ${members.where} is ${actual}, but its config says ${diffId}: the archive is damaged`,
    )
  }
  checkDiffId(
    compression === 'none'
      ? member.digest
      : await naming(`layer ${name} of ${members.where}`, digestInside(member)),
  )
  if (compression !== 'gzip' && compression !== 'zstd') {
    const { known, compression: wanted = USUAL_COMPRESSION } = options
    const before = await known?.find(diffId, wanted)
    if (before !== undefined) return before
    const written = await writeLayer(checkedTar(tarIn(member)), options)
    // The file may have changed since.
    checkDiffId(written.diffId)
    await known?.keep(diffId, wanted, written.descriptor)
    return written.descriptor
  }
  await options.place(member, member.digest)
  const mediaType = compression === 'gzip' ? MEDIA_TYPE.ociLayerGzip : MEDIA_TYPE.ociLayerZstd
  return { mediaType, digest: member.digest, size: member.size }
}

function tarIn(member: Member): AsyncIterable<Buffer> {
  return decompress(streamOf(member), { others: expandByProgram })
}

async function digestInside(member: Member): Promise<Digest> {
  const hash = createHash('sha256')
  for await (const chunk of tarIn(member)) hash.update(chunk)
  return finishDigest('sha256', hash)
}
