import { writeSync } from 'node:fs'

const BUFFER_SIZE = 256 * 1024

/** Writes pieces to ascending positions of a file in few system calls; what lies between two of them is zeros. */
export interface SequentialWriter {
  write(position: number, bytes: Buffer): void
  flush(): void
}

export function createSequentialWriter(fd: number): SequentialWriter {
  const buffer = Buffer.alloc(BUFFER_SIZE)
  let start = 0
  let length = 0
  const flush = () => {
    writeAll(fd, buffer.subarray(0, length), start)
    length = 0
  }
  return {
    write(position, bytes) {
      if (position + bytes.length > start + BUFFER_SIZE) flush()
      if (bytes.length > BUFFER_SIZE) {
        writeAll(fd, bytes, position)
        return
      }
      if (length === 0) start = position
      buffer.fill(0, length, position - start)
      bytes.copy(buffer, position - start)
      length = position - start + bytes.length
    },
    flush,
  }
}

/** Writes all of some bytes at a position of a file. */
export function writeAll(fd: number, bytes: Buffer, position: number): void {
  for (let at = 0; at < bytes.length; ) {
    at += writeSync(fd, bytes, at, bytes.length - at, position + at)
  }
}
