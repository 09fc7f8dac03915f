import { type FileHandle, open } from 'node:fs/promises'
import { isErrno } from '#oci/error.ts'
import { watchPath } from '../watch.ts'
import { LineCutter, type LogLine, parseLogLine } from './line.ts'
import { startOfTail } from './tail.ts'

export interface ReadLogOptions {
  /** Only the last lines; default all. */
  readonly tail?: number | undefined
  /** Milliseconds since 1970. */
  readonly since?: number | undefined
  readonly until?: number | undefined
}

export interface FollowLogOptions extends ReadLogOptions {
  /** Whether more may come. Asked whenever all was read. */
  readonly isOpen: () => Promise<boolean>
  readonly signal?: AbortSignal | undefined
}

const CHUNK = 64 * 1024
/** How often is looked for more when nothing tells of it. */
const LOOK_EVERY_MS = 200

/** The lines of a log that are there now. A file that isn't there holds none. */
export async function* readLog(
  path: string,
  options: ReadLogOptions = {},
): AsyncGenerator<LogLine> {
  const log = await LogFile.open(path, options.tail)
  try {
    yield* within(log?.lines(), options)
  } finally {
    await log?.close()
  }
}

/** {@link readLog}, and then what is written, until no more may come. A log that begins anew is followed there. */
export async function* followLog(path: string, options: FollowLogOptions): AsyncGenerator<LogLine> {
  const changes = watchPath(path)
  let log = await LogFile.open(path, options.tail)
  try {
    for (;;) {
      // Asked first: what was written before the end is then read for certain.
      const isOpen = await options.isOpen()
      const news = changes.next(LOOK_EVERY_MS, options.signal)
      yield* within(log?.lines(), options)
      for (;;) {
        const next = await LogFile.after(path, log)
        if (next === undefined) break
        // What came before the old one was replaced, and after it was read.
        yield* within(log?.lines(), options)
        await log?.close()
        log = next
        yield* within(log.lines(), options)
      }
      const isLate = options.until !== undefined && Date.now() > options.until
      if (!isOpen || isLate || options.signal?.aborted) return
      await news
    }
  } finally {
    changes.close()
    await log?.close()
  }
}

/** An open log, and how far it was read. */
class LogFile {
  readonly #file: FileHandle
  readonly #cutter = new LineCutter()
  #position: number

  private constructor(file: FileHandle, position: number) {
    this.#file = file
    this.#position = position
  }

  static async open(path: string, tail: number | undefined): Promise<LogFile | undefined> {
    try {
      const file = await open(path, 'r')
      return new LogFile(file, tail === undefined ? 0 : await startOfTail(file, tail))
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined
      throw error
    }
  }

  /** The file that has the name now, when that isn't `log`, or was emptied. */
  static async after(path: string, log: LogFile | undefined): Promise<LogFile | undefined> {
    const named = await LogFile.open(path, undefined)
    if (named === undefined || log === undefined) return named
    const [now, old] = await Promise.all([named.#file.stat(), log.#file.stat()])
    if (now.ino !== old.ino || now.size < log.#position) return named
    await named.close()
    return undefined
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

async function* within(
  lines: AsyncGenerator<LogLine> | undefined,
  { since, until }: ReadLogOptions,
): AsyncGenerator<LogLine> {
  if (lines === undefined) return
  for await (const line of lines) {
    const time = since === undefined && until === undefined ? 0 : Date.parse(line.time)
    if (until !== undefined && time > until) return
    if (since === undefined || time >= since) yield line
  }
}
