import { watchPath } from '../watch.ts'
import { closeAll, openLog, openNewer } from './files.ts'
import type { LogLine } from './line.ts'

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

/** How often is looked for more when nothing tells of it. */
const LOOK_EVERY_MS = 200

/** The lines of a log that are there now, of all its files. One that isn't there holds none. */
export async function* readLog(
  path: string,
  options: ReadLogOptions = {},
): AsyncGenerator<LogLine> {
  const files = await openLog(path, options.tail)
  try {
    for (const file of files) yield* within(file.lines(), options)
  } finally {
    await closeAll(files)
  }
}

/** {@link readLog}, and then what is written, until no more may come. A log that begins anew is followed there. */
export async function* followLog(path: string, options: FollowLogOptions): AsyncGenerator<LogLine> {
  const changes = watchPath(path)
  let files = await openLog(path, options.tail)
  try {
    for (;;) {
      // Asked first: what was written before the end is then read for certain.
      const isOpen = await options.isOpen()
      const news = changes.next(LOOK_EVERY_MS, options.signal)
      for (const file of files) yield* within(file.lines(), options)
      for (;;) {
        const newer = await openNewer(path, files.at(-1))
        if (newer.length === 0) break
        // What came before the old one was replaced, and after it was read.
        yield* within(files.at(-1)?.lines(), options)
        await closeAll(files)
        files = newer
        for (const file of files) yield* within(file.lines(), options)
      }
      const isLate = options.until !== undefined && Date.now() > options.until
      if (!isOpen || isLate || options.signal?.aborted) return
      await news
    }
  } finally {
    changes.close()
    await closeAll(files)
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
