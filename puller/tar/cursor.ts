import type { SparseExtent } from './entry.ts'

interface DataSink {
  data(chunk: Buffer, offsetInFile: number): void
}

/** Knows where in the file the next stored byte belongs. */
export interface Cursor {
  /** Hands `chunk[start..end]`, the next stored bytes, to `sink` in one piece for each run they fall into. */
  emit(chunk: Buffer, start: number, end: number, sink: DataSink): void
}

/** A cursor at a file's first stored byte; `extents` as the map of a sparse file has them, undefined for a whole file. */
export function createCursor(extents: readonly SparseExtent[] | undefined): Cursor {
  return extents === undefined ? createWholeCursor() : createSparseCursor(extents)
}

function createWholeCursor(): Cursor {
  let offset = 0
  return {
    emit(chunk, start, end, sink) {
      const at = offset
      offset += end - start
      sink.data(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end), at)
    },
  }
}

function createSparseCursor(extents: readonly SparseExtent[]): Cursor {
  let index = 0
  let within = 0
  return {
    emit(chunk, start, end, sink) {
      let at = start
      for (;;) {
        const extent = extents[index]
        if (extent === undefined || at === end) return
        const length = Math.min(end - at, extent.length - within)
        sink.data(chunk.subarray(at, at + length), extent.offset + within)
        at += length
        within += length
        if (within === extent.length) {
          index++
          within = 0
        }
      }
    },
  }
}
