/** One line of a container's output as the monitor writes it (Kubernetes' CRI log format). */
export interface LogLine {
  /** RFC 3339, with nanoseconds and the host's offset. */
  readonly time: string
  readonly stream: 'stdout' | 'stderr'
  /** Whether the program went on in the same line. */
  readonly isPartial: boolean
  readonly text: Buffer
}

const SPACE = 0x20
const NEWLINE = 0x0a

/** Parses a line without its newline; undefined for anything that the monitor doesn't write. */
export function parseLogLine(line: Buffer): LogLine | undefined {
  const afterTime = line.indexOf(SPACE)
  const afterStream = line.indexOf(SPACE, afterTime + 1)
  const afterTag = line.indexOf(SPACE, afterStream + 1)
  if (afterTime <= 0 || afterStream < 0 || afterTag < 0) return undefined
  const stream = line.toString('latin1', afterTime + 1, afterStream)
  const tag = line.toString('latin1', afterStream + 1, afterTag)
  if (stream !== 'stdout' && stream !== 'stderr') return undefined
  if (tag !== 'F' && tag !== 'P') return undefined
  return {
    time: line.toString('latin1', 0, afterTime),
    stream,
    isPartial: tag === 'P',
    text: line.subarray(afterTag + 1),
  }
}

/** Cuts a stream of bytes into lines without their newlines. A last line without one is held back. */
export class LineCutter {
  #rest: Buffer = Buffer.alloc(0)

  /** The lines that a chunk completes. */
  cut(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = []
    let from = 0
    for (;;) {
      const end = chunk.indexOf(NEWLINE, from)
      if (end < 0) break
      const line = chunk.subarray(from, end)
      lines.push(lines.length === 0 ? Buffer.concat([this.#rest, line]) : line)
      from = end + 1
    }
    const rest = chunk.subarray(from)
    this.#rest = lines.length === 0 ? Buffer.concat([this.#rest, rest]) : Buffer.from(rest)
    return lines
  }
}
