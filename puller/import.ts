import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Digest } from '#oci/digest.ts'
import { DrayError, errorMessage } from '#oci/error.ts'
import type { ExecutionConfig } from '#oci/image-config.ts'
import { hostPlatform, type Platform } from '#oci/platform.ts'
import { formatReference, type Reference, withDefaultTag } from '#oci/reference.ts'
import type { LayerCompression } from './image/compression.ts'
import { naming } from './error-in.ts'
import { composeConfig, storeComposed } from './image/compose.ts'
import { writeLayer } from './image/write-layer.ts'
import { decompress } from './layers/decompress.ts'
import { expandByProgram } from './layers/host-program.ts'
import { withRoom } from './store/no-room.ts'
import type { Store } from './store/store.ts'
import { checkedTar } from './tar/check.ts'
import { writeTar } from './tar/writer.ts'

const MiB = 1024 * 1024

export interface ImportOptions {
  /** How a container of the image runs by default. */
  readonly execution?: ExecutionConfig | undefined
  /** Default: this machine's. */
  readonly platform?: Platform | undefined
  /** When the image was made, RFC 3339. Left out by default, so that equal trees give equal digests. */
  readonly created?: string | undefined
  /** Default: gzip. */
  readonly compression?: LayerCompression | undefined
  readonly signal?: AbortSignal | undefined
}

export interface ImportResult {
  readonly name: string
  readonly digest: Digest
  /** Bytes of the compressed layer. */
  readonly size: number
}

/** A root file system: a directory, a tar (plain, gzip, zstd, xz or bzip2) on disk, or such a tar as a stream. */
export type ImportSource = string | AsyncIterable<Buffer>

/**
 * Makes an image of one layer from a root file system and names it in the local store.
 *
 * @throws USAGE when there is no such file or directory; TAR_INVALID, COMPRESSION_INVALID, STORE_FAILED
 */
export async function importImage(
  store: Store,
  source: ImportSource,
  reference: Reference,
  options: ImportOptions = {},
): Promise<ImportResult> {
  const target = withDefaultTag(reference)
  if (target.digest !== undefined) {
    throw new DrayError(
      'USAGE',
      'an imported image gets its digest from its content: name it by a tag',
    )
  }
  return await withRoom(store.layout.root, () => importAs(store, source, target, options))
}

async function importAs(
  store: Store,
  source: ImportSource,
  target: Reference,
  options: ImportOptions,
): Promise<ImportResult> {
  const { execution = {}, platform = hostPlatform(), created, compression, signal } = options
  const stage = await store.stage()
  const lease = await store.lease()
  try {
    const tar = typeof source === 'string' ? await openSource(source) : tarOf(source)
    const layer = await naming(
      typeof source === 'string' ? source : 'standard input',
      writeLayer(tar, { layoutDir: store.dir, stageDir: stage.dir, lease, compression, signal }),
    )
    const config = composeConfig({
      platform,
      execution,
      layers: [layer],
      createdBy: 'dray import',
      created,
    })
    const name = formatReference(target)
    const layers = [layer.descriptor]
    const { digest } = await storeComposed(store, lease, { name, config, layers })
    return { name, digest, size: layer.descriptor.size }
  } finally {
    lease.close()
    await stage.close()
  }
}

async function openSource(path: string): Promise<AsyncIterable<Buffer>> {
  const stats = await stat(path).catch((error: unknown) => {
    throw new DrayError('USAGE', `cannot import ${path}: ${errorMessage(error)}`, { cause: error })
  })
  if (stats.isDirectory()) return writeTar(path)
  return tarOf(createReadStream(path, { highWaterMark: MiB }))
}

function tarOf(bytes: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  return checkedTar(decompress(notEmpty(bytes), { others: expandByProgram }))
}

/** A pipe has nothing whose first program failed. A tar of no files has its end at least. */
async function* notEmpty(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let isEmpty = true
  for await (const chunk of bytes) {
    isEmpty = false
    yield chunk
  }
  if (isEmpty) throw new DrayError('TAR_INVALID', 'no tar archive: it has nothing')
}
