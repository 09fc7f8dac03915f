import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { posix } from 'node:path'
import * as z from 'zod'
import { describe } from '#oci/descriptor.ts'
import { DrayError, errorMessage } from '#oci/error.ts'
import { IMAGE_CONFIG_LIMIT, parseImageConfig } from '#oci/image-config.ts'
import { parseJson } from '#oci/json.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { formatReference, parseReference, withDefaultTag } from '#oci/reference.ts'
import { absentable, check } from '#oci/schema.ts'
import { decompress } from '../layers/decompress.ts'
import { createTarReader } from '../tar/reader.ts'
import { checkedTar } from '../tar/check.ts'
import { composeManifest } from './compose.ts'
import type { Document } from './resolve.ts'
import { type WriteLayerOptions, writeLayer } from './write-layer.ts'

const MiB = 1024 * 1024

/** Where a member of the archive is in the file, or which other member it stands for. */
type Member = { readonly offset: number; readonly size: number } | { readonly target: string }

const listSchema = z.array(
  z.object({
    Config: z.string(),
    RepoTags: absentable(z.array(z.string())),
    Layers: absentable(z.array(z.string())),
  }),
)

type ArchivedImage = z.output<typeof listSchema>[number]

/**
 * Turns an image of a `docker save` archive into an OCI image: the config stays as it is, byte for byte, and the
 * layers are compressed with gzip.
 *
 * @param name which image, as in `RepoTags`; may be undefined when the archive holds one
 * @returns the config and the manifest, whose layers are in `options.layoutDir`
 * @throws ARCHIVE_INVALID, IMAGE_UNKNOWN, DIFF_ID_MISMATCH, TAR_INVALID, COMPRESSION_INVALID
 */
export async function convertDockerArchive(
  path: string,
  name: string | undefined,
  options: WriteLayerOptions,
): Promise<{ readonly config: Document; readonly manifest: Document }> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw new DrayError('USAGE', `cannot read ${path}: ${errorMessage(error)}`, { cause: error })
  })
  try {
    const archive = { path, file, members: await readMembers(path) }
    const image = await chooseImage(archive, name)
    const bytes = await readMember(archive, image.Config)
    const diffIds = parseImageConfig(bytes).rootfs.diff_ids
    const layers = image.Layers ?? []
    if (layers.length !== diffIds.length)
      throw invalid(
        path,
        `its config names ${diffIds.length} layers, its manifest ${layers.length}`,
      )
    const descriptors = []
    for (const [at, layer] of layers.entries()) {
      const written = await writeLayer(
        checkedTar(decompress(memberStream(archive, layer))),
        options,
      )
      if (written.diffId !== diffIds[at]) {
        throw new DrayError(
          'DIFF_ID_MISMATCH',
          `layer ${layer} of ${path} is ${written.diffId}, but its config says ${diffIds[at]}: the archive is damaged`,
        )
      }
      descriptors.push(written.descriptor)
    }
    const config = { descriptor: describe(MEDIA_TYPE.ociConfig, bytes), bytes }
    return { config, manifest: composeManifest(config.descriptor, descriptors) }
  } finally {
    await file.close()
  }
}

interface Archive {
  readonly path: string
  readonly file: FileHandle
  readonly members: ReadonlyMap<string, Member>
}

/** Finds out where everything is, in one pass over the file. */
async function readMembers(path: string): Promise<Map<string, Member>> {
  const members = new Map<string, Member>()
  const reader = createTarReader({
    entry({ path: raw, type, linkPath, dataOffset, storedSize }) {
      const name = posix.normalize(raw.toString('utf8'))
      const link = linkPath?.toString('utf8') ?? ''
      if (type === 'file') members.set(name, { offset: dataOffset, size: storedSize })
      if (type === 'symlink') members.set(name, { target: posix.join(posix.dirname(name), link) })
      if (type === 'hardlink') members.set(name, { target: posix.normalize(link) })
    },
    data: () => undefined,
    endEntry: () => undefined,
  })
  for await (const chunk of createReadStream(path, { highWaterMark: MiB })) reader.push(chunk)
  reader.end()
  return members
}

async function chooseImage(archive: Archive, name: string | undefined): Promise<ArchivedImage> {
  const list = parseJson(await readMember(archive, 'manifest.json'), {
    code: 'ARCHIVE_INVALID',
    maxBytes: IMAGE_CONFIG_LIMIT,
  })
  const images = check(listSchema, list, `manifest.json of ${archive.path}`, 'ARCHIVE_INVALID')
  const fits =
    name === undefined
      ? images
      : images.filter(({ RepoTags = [] }) => RepoTags.some((tag) => sameName(tag, name)))
  const [image, another] = fits
  if (image !== undefined && (another === undefined || name !== undefined)) return image
  const names = images.flatMap(({ RepoTags }) => RepoTags ?? []).slice(0, 10)
  throw new DrayError(
    'IMAGE_UNKNOWN',
    `${archive.path} holds ${names.length === 0 ? 'no named image' : names.join(', ')}: write docker-archive:FILE:NAME`,
  )
}

function sameName(tag: string, name: string): boolean {
  const full = (text: string) => formatReference(withDefaultTag(parseReference(text)))
  try {
    return full(tag) === full(name)
  } catch {
    return tag === name
  }
}

async function readMember(archive: Archive, name: string): Promise<Buffer> {
  const { offset, size } = locate(archive, name)
  if (size > IMAGE_CONFIG_LIMIT) throw invalid(archive.path, `${name} has ${size} bytes`)
  const { buffer, bytesRead } = await archive.file.read(Buffer.alloc(size), 0, size, offset)
  return buffer.subarray(0, bytesRead)
}

function memberStream(archive: Archive, name: string): AsyncIterable<Buffer> {
  const { offset, size } = locate(archive, name)
  if (size === 0) return emptyStream()
  return createReadStream(archive.path, {
    start: offset,
    end: offset + size - 1,
    highWaterMark: MiB,
  })
}

async function* emptyStream(): AsyncGenerator<Buffer> {}

function locate(
  archive: Archive,
  name: string,
): { readonly offset: number; readonly size: number } {
  let at = posix.normalize(name)
  for (let hops = 0; hops < 8; hops++) {
    const member = archive.members.get(at)
    if (member === undefined) break
    if ('offset' in member) return member
    at = member.target
  }
  throw invalid(archive.path, `it lacks ${name}`)
}

function invalid(path: string, why: string): DrayError {
  return new DrayError('ARCHIVE_INVALID', `${path} is no docker-archive (docker save): ${why}`)
}
