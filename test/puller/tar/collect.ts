import { createTarReader, type TarSink } from '#puller/tar/reader.ts'
import type { TarEntry } from '#puller/tar/entry.ts'

/** An entry as a test wants to see it: names as binary strings, content put together with its holes. */
export interface Collected extends Omit<TarEntry, 'path' | 'linkPath' | 'xattrs'> {
  readonly path: string
  readonly linkPath: string | undefined
  readonly xattrs: Readonly<Record<string, string>>
  readonly content: string
}

/** Reads an archive given in pieces to its end. */
export function collect(...pieces: readonly Buffer[]): Collected[] {
  const entries: Collected[] = []
  const reader = createTarReader(createCollector(entries))
  for (const piece of pieces) reader.push(piece)
  reader.end()
  return entries
}

const LARGEST = 16 * 1024 * 1024

function createCollector(entries: Collected[]): TarSink {
  let current: TarEntry | undefined
  let content = Buffer.alloc(0)
  return {
    entry(entry) {
      if (current !== undefined) throw new Error('an entry inside an entry')
      current = entry
      if (entry.size > LARGEST) throw new RangeError('a file too large to keep')
      content = Buffer.alloc(entry.size)
    },
    data(chunk, offset) {
      if (chunk.length === 0) throw new Error('an empty chunk')
      if (offset + chunk.length > content.length) throw new Error('data outside of its file')
      chunk.copy(content, offset)
    },
    endEntry() {
      if (current === undefined) throw new Error('the end of no entry')
      entries.push({
        ...current,
        path: current.path.toString('latin1'),
        linkPath: current.linkPath?.toString('latin1'),
        xattrs: Object.fromEntries(
          [...current.xattrs].map(([name, value]) => [name, value.toString('latin1')]),
        ),
        content: content.toString('latin1'),
      })
      current = undefined
    },
  }
}
