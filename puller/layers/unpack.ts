import { createHash } from 'node:crypto'
import { type Digest, finishDigest } from '#oci/digest.ts'
import { createTarReader } from '../tar/reader.ts'
import { decompress, type Gunzip } from './decompress.ts'
import {
  createDirExtractor,
  createErofsExtractor,
  type ExtractOptions,
  type ExtractResult,
} from './extract.ts'

/** Where a layer goes: into an empty directory, or into two new files. */
export type UnpackTarget =
  | { readonly form: 'dir'; readonly dir: string }
  | { readonly form: 'erofs'; readonly tar: string; readonly image: string }

/** Options of {@link unpackLayer}. */
export interface UnpackOptions extends ExtractOptions {
  /** The most bytes of uncompressed tar. Default 1 TiB. */
  readonly maxTarBytes?: number
  /** What inflates gzip. Default zlib. */
  readonly gunzip?: Gunzip
  readonly signal?: AbortSignal
}

/** What unpacking a layer found out. `bytes` counts file content, `tarBytes` the whole uncompressed archive. */
export interface UnpackResult extends ExtractResult {
  readonly form: UnpackTarget['form']
  /** Digest of the uncompressed archive; comparing it with the image config's is up to the caller. */
  readonly diffId: Digest
  readonly tarBytes: number
}

/**
 * Unpacks one layer while its compressed bytes arrive: decompression runs on the thread pool, hashing and writing on this
 * thread. An empty blob is an empty layer. On failure the target is left half-made for the caller to remove, and `source` is
 * told to stop.
 *
 * @param source the blob's bytes in order; the caller checks the blob's digest
 * @throws COMPRESSION_INVALID, TAR_INVALID, LAYER_INVALID, STORE_FAILED, what `source` throws, and the signal's reason
 */
export async function unpackLayer(
  source: AsyncIterable<Buffer>,
  target: UnpackTarget,
  options: UnpackOptions = {},
): Promise<UnpackResult> {
  const { maxTarBytes, gunzip, signal } = options
  const extractor =
    target.form === 'dir'
      ? createDirExtractor(target.dir, options)
      : createErofsExtractor(target, options)
  const reader = createTarReader(extractor)
  const hash = createHash('sha256')
  let tarBytes = 0
  try {
    const limit = maxTarBytes === undefined ? {} : { maxBytes: maxTarBytes }
    for await (const chunk of decompress(source, { ...limit, gunzip })) {
      signal?.throwIfAborted()
      hash.update(chunk)
      extractor.keep(chunk)
      reader.push(chunk)
      tarBytes += chunk.length
    }
    reader.end()
    const diffId = finishDigest('sha256', hash)
    const result = extractor.finish({ diffId, tarBytes })
    return { ...result, form: target.form, diffId, tarBytes }
  } catch (error) {
    extractor.abort()
    throw error
  }
}

/**
 * The diffID of a layer, without unpacking it.
 *
 * @param source as for {@link unpackLayer}
 * @throws COMPRESSION_INVALID, and what `source` throws
 */
export async function inflateLayer(
  source: AsyncIterable<Buffer>,
  gunzip?: Gunzip,
): Promise<Pick<UnpackResult, 'diffId'>> {
  const hash = createHash('sha256')
  for await (const chunk of decompress(source, { gunzip })) hash.update(chunk)
  return { diffId: finishDigest('sha256', hash) }
}
