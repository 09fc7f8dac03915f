import { DrayError } from '#oci/error.ts'
import type { SparseExtent } from '../../tar/entry.ts'
import {
  BLOCK_LIMIT,
  BLOCK_SIZE,
  CHUNK_BITS_LIMIT,
  CHUNK_INDEX_SIZE,
  NO_BLOCK,
  smallBuffer,
  writeChunkIndex,
} from './disk.ts'

/** Where the content of a regular file is. */
export interface Chunks {
  /** A chunk has `BLOCK_SIZE << bits` bytes. */
  readonly bits: number
  /** EROFS's index of each chunk, one after the other. */
  readonly indexes: Buffer
}

/** Content that an archive stores: all of a file, or runs of a sparse one. */
export interface StoredContent {
  readonly size: number
  /** Where the stored bytes begin in the archive. */
  readonly dataOffset: number
  readonly sparse: readonly SparseExtent[] | undefined
}

/** Gives out room in the image for a chunk that the archive doesn't hold in one piece. @returns its first block */
export type AllocateChunk = (bytes: number) => number

/** How long the chunks of a file are that is stored whole: one holds it, unless it is longer than a chunk can be. */
export function wholeFileBits(size: number): number {
  return Math.min(bitsFor(size), CHUNK_BITS_LIMIT)
}

/** How many chunks a file has. */
export function chunkCount(size: number, bits: number): number {
  return Math.ceil(size / (BLOCK_SIZE * 2 ** bits))
}

/**
 * Points at the content of a file in the archive. A sparse file's chunks are as long as the ends of its runs allow; where
 * that gives more of them than the stored bytes justify, chunks are longer, and those that hold the end of a run are copied into
 * the image.
 *
 * @throws LAYER_INVALID when it is too large for the format
 */
export function planChunks(content: StoredContent, allocate: AllocateChunk): Chunks {
  const { size, dataOffset, sparse } = content
  const runs = sparse ?? [{ offset: 0, length: size }]
  const bits = sparse === undefined ? wholeFileBits(size) : chooseBits(size, runs)
  const length = BLOCK_SIZE * 2 ** bits
  const indexes = smallBuffer(chunkCount(size, bits) * CHUNK_INDEX_SIZE)
  for (let at = 0; at < indexes.length; at += CHUNK_INDEX_SIZE)
    indexes.writeUInt32LE(NO_BLOCK, at + 4)
  let stored = dataOffset
  for (const run of runs) {
    placeRun({ size, length, indexes, allocate }, run, stored)
    stored += run.length
  }
  return { bits, indexes }
}

interface Plan {
  readonly size: number
  /** Of a chunk. */
  readonly length: number
  readonly indexes: Buffer
  readonly allocate: AllocateChunk
}

function placeRun(plan: Plan, run: SparseExtent, stored: number): void {
  const { size, length, indexes, allocate } = plan
  const end = run.offset + run.length
  for (let at = Math.floor(run.offset / length); at * length < end; at++) {
    const start = at * length
    const position = stored + start - run.offset
    const isWhole = start >= run.offset && Math.min(start + length, size) <= end
    if (isWhole && position % BLOCK_SIZE === 0) {
      writeChunkIndex(indexes, at, { device: 1, block: blockOf(position) })
    } else if (indexes.readUInt32LE(at * CHUNK_INDEX_SIZE + 4) === NO_BLOCK) {
      const block = allocate(Math.min(length, size - start))
      writeChunkIndex(indexes, at, { device: 0, block })
    }
  }
}

function chooseBits(size: number, runs: readonly SparseExtent[]): number {
  const stored = runs.reduce((sum, run) => sum + run.length, 0)
  const limit = 64 + Math.floor(stored / BLOCK_SIZE)
  const enough = bitsFor(size / limit)
  if (enough > CHUNK_BITS_LIMIT) throw tooLarge()
  return Math.max(enough, Math.min(alignedBits(size, runs), CHUNK_BITS_LIMIT))
}

/** The longest chunks that every run is made of, but for the end of the file. */
function alignedBits(size: number, runs: readonly SparseExtent[]): number {
  let bits = bitsFor(size)
  for (const { offset, length } of runs) {
    const edges = offset + length === size ? [offset] : [offset, offset + length]
    for (const edge of edges) while (bits > 0 && edge % (BLOCK_SIZE * 2 ** bits) !== 0) bits--
  }
  return bits
}

function bitsFor(bytes: number): number {
  return Math.max(0, Math.ceil(Math.log2(bytes / BLOCK_SIZE)))
}

function blockOf(position: number): number {
  const block = position / BLOCK_SIZE
  if (block < BLOCK_LIMIT) return block
  throw tooLarge()
}

function tooLarge(): DrayError {
  return new DrayError('LAYER_INVALID', 'it is too large for an EROFS image')
}
