import { constants, createWriteStream } from 'node:fs'
import { access, link, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Digest, digestAlgorithm, isDigest } from '#oci/digest.ts'
import { DrayError, errorMessage, isDrayError, isErrno } from '#oci/error.ts'
import { MANIFEST_LIMIT } from '#oci/manifest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { fullName } from '#oci/reference.ts'
import { isReferrersTag } from '#oci/referrers-tag.ts'
import type { LayerCompression } from '../image/compression.ts'
import { checkDocument } from '../image/resolve.ts'
import { type BlobFiles, type BlobSource, openBlobs } from '../store/blobs.ts'
import { CONTAINERD_NAME, type NamedImage, readImageIndex } from '../store/image-index.ts'
import { blobPath } from '../store/layout.ts'
import {
  type CompressedBefore,
  type ConvertOptions,
  convertDockerImages,
  DOCKER_LIST,
  readDockerList,
} from './docker.ts'
import { invalid, type Member, type Members, readMember, readMembers, streamOf } from './members.ts'
import { blobsOf, readBlob, readWhole, type WholeImage } from './write.ts'

/** Images of an archive, of which every blob has been checked against its digest. */
export interface ArchivedImages {
  readonly source: BlobSource
  readonly images: readonly WholeImage[]
}

/** Images taken out of an archive: an OCI image layout. */
export interface StagedImages extends ArchivedImages {
  readonly source: BlobFiles
}

export interface StageOptions {
  /** Which image, by one of its names. Default: all. */
  readonly name?: string | undefined
  /** How layers are compressed that aren't. Default: gzip. */
  readonly compression?: LayerCompression | undefined
  /** What layers became when they were compressed before. Default: nobody knows. */
  readonly known?: CompressedBefore | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Takes images out of an archive of docker, podman, skopeo or others, docker-archive or oci-archive, plain or packed; or out
 * of an OCI image layout in a directory.
 *
 * @param from a path, or the archive itself
 * @param stageDir where they are put; not there yet
 * @throws USAGE when it can't be read, ARCHIVE_INVALID, CONTENT_MISMATCH, DIFF_ID_MISMATCH, TAR_INVALID, COMPRESSION_INVALID,
 *   LAYOUT_INVALID, MANIFEST_INVALID
 */
export async function stageImages(
  from: string | AsyncIterable<Buffer>,
  stageDir: string,
  options: StageOptions = {},
): Promise<StagedImages> {
  const layoutDir = join(stageDir, 'layout')
  if (typeof from === 'string' && (await isDirectory(from)))
    return await copyLayout(from, layoutDir, options)
  const source = openBlobs(layoutDir)
  const place = (member: Member, digest: Digest) => putBlob(member, blobPath(layoutDir, digest))
  const images = await readImagesOf(from, stageDir, { ...options, layoutDir, source, place })
  return { source, images }
}

/**
 * {@link stageImages}, but blobs stay where they are in an archive that is plain and a file: what is written are layers that
 * have to be compressed, and documents.
 */
export async function openArchive(
  from: string,
  stageDir: string,
  options: StageOptions = {},
): Promise<ArchivedImages> {
  if (await isDirectory(from)) return await stageImages(from, stageDir, options)
  const layoutDir = join(stageDir, 'layout')
  const placed = new Map<Digest, Member>()
  const source = blobsIn(placed, openBlobs(layoutDir))
  const place = async (member: Member, digest: Digest) => void placed.set(digest, member)
  const images = await readImagesOf(from, stageDir, { ...options, layoutDir, source, place })
  return { source, images }
}

interface Work extends StageOptions, Pick<ConvertOptions, 'place'> {
  readonly layoutDir: string
  /** What is placed, and what is written into the layout. */
  readonly source: BlobSource
}

async function readImagesOf(
  from: string | AsyncIterable<Buffer>,
  stageDir: string,
  work: Work,
): Promise<readonly WholeImage[]> {
  const members = await readMembers(from, join(stageDir, 'members'))
  const isLayout = members.has('oci-layout') && members.has('index.json')
  const hasList = members.has(DOCKER_LIST)
  if (!isLayout && !hasList) {
    const has = members.names.slice(0, 5).join(', ') || 'nothing'
    throw invalid(members.where, `it has ${has}. dray import makes an image of a root file system`)
  }
  const images = isLayout ? await stageLayout(members, work) : undefined
  // docker's own archives hold layers uncompressed, which nobody wants to keep or to push.
  if (images !== undefined && !(hasList && images.some(hasPlainLayer)))
    return chosen(images, work.name)
  return await stageList(members, work)
}

/** Blobs that are members of an archive, and those of a layout. */
function blobsIn(members: ReadonlyMap<Digest, Member>, layout: BlobSource): BlobSource {
  return {
    dir: layout.dir,
    async has(blob) {
      const member = members.get(blob.digest)
      return member === undefined ? await layout.has(blob) : member.size === blob.size
    },
    async readSmall(blob) {
      const member = members.get(blob.digest)
      return member === undefined
        ? await layout.readSmall(blob)
        : checkDocument(blob, readMember(member))
    },
    read(blob, start) {
      const member = members.get(blob.digest)
      return member === undefined ? layout.read(blob, start) : streamOf(member, start)
    },
  }
}

/** Makes a member a blob of a layout, without copying it where it is a file of its own: in archives there is a header first. */
async function putBlob(member: Member, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  if (member.start > 0) return await pipeline(streamOf(member), createWriteStream(path))
  await link(member.path, path).catch((error: unknown) => {
    if (!isErrno(error, 'EEXIST')) throw error
  })
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    await access(path, constants.R_OK)
    return (await stat(path)).isDirectory()
  } catch (error) {
    throw new DrayError('USAGE', `cannot read ${path}: ${errorMessage(error)}`, { cause: error })
  }
}

async function stageLayout(
  members: Members,
  { layoutDir, source, place }: Work,
): Promise<readonly WholeImage[]> {
  await mkdir(layoutDir, { recursive: true })
  await writeFile(join(layoutDir, 'index.json'), members.read('index.json', MANIFEST_LIMIT))
  for (const name of members.names) {
    const [top, algorithm, hex, ...rest] = name.split('/')
    const digest = `${algorithm}:${hex}`
    if (top !== 'blobs' || rest.length > 0 || !isDigest(digest)) continue
    const member = members.find(name)
    if (digestAlgorithm(digest) === 'sha256' && member.digest !== digest) {
      throw new DrayError(
        'CONTENT_MISMATCH',
        `${name} of ${members.where} is damaged: its bytes are ${member.digest}`,
      )
    }
    await place(member, digest)
  }
  const images = await readImages(source).catch((error: unknown) => {
    if (!isDrayError(error, 'LAYOUT_INVALID')) throw error
    throw invalid(members.where, 'its index.json, or a manifest that it names, is no good', error)
  })
  for (const blob of blobsOf(images)) await checkStaged(source, blob, members.where)
  return images
}

/** Every blob that an image needs is there, and those that weren't hashed on the way are what they should be. */
async function checkStaged(
  source: BlobSource,
  blob: WholeImage['descriptor'],
  where: string,
): Promise<void> {
  if (!(await source.has(blob)))
    throw invalid(where, `it lacks blob ${blob.digest} of ${blob.size} bytes`)
  if (digestAlgorithm(blob.digest) === 'sha256') return
  for await (const _ of readBlob(source, blob));
}

async function copyLayout(
  dir: string,
  layoutDir: string,
  { name, signal = new AbortController().signal }: StageOptions,
): Promise<StagedImages> {
  const from = openBlobs(dir)
  const images = chosen(await readImages(from), name)
  if (images.length === 0) throw invalid(dir, await whyEmpty(dir))
  for (const blob of blobsOf(images)) {
    const path = blobPath(layoutDir, blob.digest)
    await mkdir(dirname(path), { recursive: true })
    await pipeline(readBlob(from, blob), createWriteStream(path), { signal })
  }
  return { source: openBlobs(layoutDir), images }
}

/** What a directory is that has no images. */
async function whyEmpty(dir: string): Promise<string> {
  const names = await readdir(dir)
  if (names.includes('index.json') || !names.includes('manifest.json'))
    return 'it has no index.json that names an image'
  return `it is a directory as skopeo's dir: has them. skopeo copy dir:${dir} oci:LAYOUT:NAME makes a layout of it`
}

async function readImages(source: BlobSource): Promise<WholeImage[]> {
  const images: WholeImage[] = []
  for (const { name, descriptor } of await readImageIndex(source.dir)) {
    const { mediaType, digest, size, annotations } = descriptor
    const named = annotations?.[CONTAINERD_NAME] ?? name
    images.push(await readWhole(source, { name: named, descriptor: { mediaType, digest, size } }))
  }
  return images
}

function hasPlainLayer({ manifests }: WholeImage): boolean {
  const plain: readonly string[] = [MEDIA_TYPE.ociLayer, MEDIA_TYPE.dockerLayer]
  return manifests.some(({ layers }) => layers.some(({ mediaType }) => plain.includes(mediaType)))
}

async function stageList(
  members: Members,
  { layoutDir, source, place, name, compression, known, signal }: Work,
): Promise<readonly WholeImage[]> {
  const listed = readDockerList(members).filter(
    ({ RepoTags = [] }) => name === undefined || RepoTags.some((tag) => isSameName(tag, name)),
  )
  const stageDir = join(layoutDir, 'half')
  const manifests = await convertDockerImages(members, listed, {
    ...{ layoutDir, stageDir, compression, known, signal, place },
  })
  const images: WholeImage[] = []
  for (const [at, descriptor] of manifests.entries()) {
    const tags = listed[at]?.RepoTags ?? []
    for (const tag of tags.length === 0 ? [undefined] : tags)
      images.push(await readWhole(source, { name: tag, descriptor }))
  }
  return images
}

function chosen(images: readonly WholeImage[], name: string | undefined): WholeImage[] {
  return images.filter(
    (image) => name === undefined || (image.name !== undefined && isSameName(image.name, name)),
  )
}

function isSameName(tag: string, name: string): boolean {
  return tag === name || (fullName(tag) !== undefined && fullName(tag) === fullName(name))
}

/** The one image that was asked for, lists of referrers aside. @throws IMAGE_UNKNOWN */
export function onlyImage(
  staged: ArchivedImages,
  where: string,
  name: string | undefined,
): NamedImage {
  const images = staged.images.filter(
    (each) => name !== undefined || !isReferrersTag(each.name ?? ''),
  )
  const [image] = images
  const digests = new Set(images.map(({ descriptor }) => descriptor.digest))
  if (image !== undefined && digests.size === 1) return image
  const names = images.map((each) => each.name ?? each.descriptor.digest).slice(0, 10)
  throw new DrayError(
    'IMAGE_UNKNOWN',
    name === undefined
      ? `${where} holds ${names.join(', ') || 'no image'}: write FILE:NAME`
      : `${where} holds no image ${name}`,
  )
}
