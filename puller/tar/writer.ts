import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { DrayError } from '#oci/error.ts'
import { encodeHeader, paddingFor } from './encode.ts'
import { printable } from './entry.ts'
import { BLOCK_SIZE } from './header.ts'
import { type WalkedFile, type WalkOptions, walkTree } from './walk.ts'

/** Options of {@link writeTar}. */
export interface WriteTarOptions extends WalkOptions {
  readonly signal?: AbortSignal
}

/**
 * The tree under a directory as a tar archive, in chunks of up to 1 MiB that the consumer may keep: ustar, with PAX headers only
 * where ustar can't say it. The same tree gives the same bytes: see {@link walkTree} for the order and for what is left out.
 * Holes of sparse files are written out as zeros. Reads synchronously between chunks; memory doesn't grow with the tree, but
 * for the names of one directory a level and of files with several links.
 *
 * @throws LAYER_INVALID for a file that a layer can't hold, or whose size changes meanwhile; SYSCALL_FAILED and errors of
 *   `node:fs` for one that can't be read; the signal's reason
 */
export async function* writeTar(
  root: string | Buffer,
  { signal, ...walk }: WriteTarOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  const output = createAssembler()
  for (const file of walkTree(root, walk)) {
    for (const chunk of output.append(encodeHeader(file.head))) {
      signal?.throwIfAborted()
      yield chunk
    }
    if (file.head.type !== 'file' || file.head.size === 0) continue
    for (const chunk of appendContent(output, file, walk.isLive ?? false)) {
      signal?.throwIfAborted()
      yield chunk
    }
  }
  yield* output.append(Buffer.alloc(2 * BLOCK_SIZE))
  yield* output.finish()
}

const CHUNK_SIZE = 1024 * 1024
const READ_ONLY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** Joins what it is given to chunks of one size. */
interface Assembler {
  append(bytes: Buffer): Generator<Buffer>
  /** Appends `length` bytes that `fill` puts into the buffers it gets; `fill` returns how many, and 0 to give up. */
  appendFrom(length: number, fill: (target: Buffer) => number): Generator<Buffer, boolean>
  finish(): Generator<Buffer>
}

function createAssembler(): Assembler {
  let buffer = Buffer.allocUnsafe(CHUNK_SIZE)
  let used = 0
  function* flushIfFull(): Generator<Buffer> {
    if (used < CHUNK_SIZE) return
    const full = buffer
    buffer = Buffer.allocUnsafe(CHUNK_SIZE)
    used = 0
    yield full
  }
  return {
    *append(bytes) {
      for (let at = 0; at < bytes.length; ) {
        const length = bytes.copy(buffer, used, at)
        used += length
        at += length
        yield* flushIfFull()
      }
    },
    *appendFrom(length, fill) {
      for (let left = length; left > 0; ) {
        const filled = fill(buffer.subarray(used, Math.min(CHUNK_SIZE, used + left)))
        if (filled === 0) return false
        used += filled
        left -= filled
        yield* flushIfFull()
      }
      return true
    },
    *finish() {
      if (used > 0) yield buffer.subarray(0, used)
    },
  }
}

/** Of a file that somebody writes to, what it holds now: as many bytes as its header says, zeros for those that are gone. */
function* appendContent(
  output: Assembler,
  { head, source }: WalkedFile,
  isLive: boolean,
): Generator<Buffer> {
  const fd = openSync(source, READ_ONLY)
  try {
    const read = (target: Buffer) => readSync(fd, target) || (isLive ? zero(target) : 0)
    const isWhole = yield* output.appendFrom(head.size, read)
    const stats = fstatSync(fd)
    if (isLive && !stats.isFile()) throw changed(head.path)
    if (isLive) return yield* output.append(paddingFor(head.size))
    if (!isWhole || !stats.isFile() || stats.size !== head.size) {
      throw changed(head.path)
    }
  } finally {
    closeSync(fd)
  }
  yield* output.append(paddingFor(head.size))
}

function zero(target: Buffer): number {
  target.fill(0)
  return target.length
}

function changed(path: Buffer): DrayError {
  const what = `${printable(path)} changed while it was read`
  return new DrayError('LAYER_INVALID', `${what}: take a tree that nothing writes to`)
}
