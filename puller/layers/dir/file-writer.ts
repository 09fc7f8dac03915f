import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs'
import type { TarEntry } from '../../tar/entry.ts'
import type { AttributeWriter } from './attributes.ts'

/** Writes the regular files of a layer, one after the other. Errors are those of `node:fs` and SYSCALL_FAILED. */
export interface FileWriter {
  /** Creates the file; EEXIST when something is there, which is left alone. */
  begin(path: Buffer, entry: TarEntry): void
  /** Takes content of the open file; ignored when none is open. */
  write(chunk: Buffer, offset: number): void
  /** Gives the open file its length and attributes and closes it; nothing happens when none is open. */
  end(): void
  /** Closes the open file as it is. */
  abort(): void
}

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

export function createFileWriter(attributes: AttributeWriter): FileWriter {
  let open: { readonly fd: number; readonly path: Buffer; readonly entry: TarEntry } | undefined
  return {
    begin(path, entry) {
      open = { fd: openSync(path, NEW_FILE, attributes.creationMode(entry)), path, entry }
    },
    write(chunk, offset) {
      if (open === undefined) return
      for (let at = 0; at < chunk.length; ) {
        at += writeSync(open.fd, chunk, at, chunk.length - at, offset + at)
      }
    },
    end() {
      if (open === undefined) return
      const { fd, path, entry } = open
      if (entry.sparse !== undefined) ftruncateSync(fd, entry.size)
      attributes.toFile(fd, path, entry)
      open = undefined
      closeSync(fd)
    },
    abort() {
      if (open === undefined) return
      const { fd } = open
      open = undefined
      closeSync(fd)
    },
  }
}
