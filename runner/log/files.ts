import { type FileHandle, open } from 'node:fs/promises'
import { isErrno } from '#oci/error.ts'
import { LineCutter, type LogLine, parseLogLine } from './line.ts'
import { startOfTail } from './tail.ts'

const CHUNK = 64 * 1024

/**
 * Opens the files of a log, the oldest first: `PATH.2`, `PATH.1`, `PATH`. Each is there once, whatever name the monitor gives it
 * meanwhile.
 *
 * @param tail only those with the last lines, of which the first begins there; default all
 */
export async function openLog(path: string, tail?: number): Promise<LogFile[]> {
  const files = await openNewer(path, undefined)
  if (tail === undefined) return files
  let found = 0
  for (let at = files.length - 1; at >= 0; at--) {
    found = (await files[at]?.skipToTail(tail, found)) ?? found
    if (tail > 0 && found <= tail) continue // the first line may have begun in an older file
    await closeAll(files.splice(0, at))
    break
  }
  return files
}

/** Opens those that are newer than `last`, the oldest first. One that was emptied is newer than itself. */
export async function openNewer(path: string, last: LogFile | undefined): Promise<LogFile[]> {
  const files: LogFile[] = []
  let missing = 0
  // While the monitor renames them one is missing, now and then.
  for (let number = 0; missing < 2; number++) {
    const file = await LogFile.open(number === 0 ? path : `${path}.${number}`)
    if (file === undefined) {
      missing++
      continue
    }
    missing = 0
    const isKnown = await file.isSame(last)
    const isNews = isKnown ? await file.wasEmptied(last) : !(await file.isSame(files[0]))
    if (isNews) files.unshift(file)
    else await file.close()
    if (isKnown) break
  }
  return files
}

export async function closeAll(files: readonly LogFile[]): Promise<void> {
  await Promise.all(files.map((file) => file.close()))
}

/** An open file of a log, and how far it was read. */
export class LogFile {
  readonly #file: FileHandle
  readonly #cutter = new LineCutter()
  #position = 0

  private constructor(file: FileHandle) {
    this.#file = file
  }

  static async open(path: string): Promise<LogFile | undefined> {
    try {
      return new LogFile(await open(path, 'r'))
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined
      throw error
    }
  }

  async isSame(other: LogFile | undefined): Promise<boolean> {
    if (other === undefined) return false
    const [ours, others] = await Promise.all([this.#file.stat(), other.#file.stat()])
    return ours.ino === others.ino
  }

  /** Whether some of what `reader` has read isn't there any more. */
  async wasEmptied(reader: LogFile | undefined): Promise<boolean> {
    return reader !== undefined && (await this.#file.stat()).size < reader.#position
  }

  /** @returns how many lines begin after there, `found` of them in files that are newer */
  async skipToTail(lines: number, found: number): Promise<number> {
    const tail = await startOfTail(this.#file, lines, found)
    this.#position = tail.start
    return tail.found
  }

  /** What wasn't read yet. */
  async *lines(): AsyncGenerator<LogLine> {
    for (;;) {
      const { bytesRead, buffer } = await this.#file.read(
        Buffer.alloc(CHUNK),
        0,
        CHUNK,
        this.#position,
      )
      if (bytesRead === 0) return
      this.#position += bytesRead
      for (const bytes of this.#cutter.cut(buffer.subarray(0, bytesRead))) {
        const line = parseLogLine(bytes)
        if (line !== undefined) yield line
      }
    }
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}
