import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { DrayError, isErrno } from '#oci/error.ts'
import type { ChunkSource } from './chunk-source.ts'
import type { OtherFormat } from './decompress.ts'

/** What `xz -9` makes takes 65 MiB to unpack. */
const XZ_MEMORY = '256MiB'
const SAID_LIMIT = 300

interface Program {
  readonly arguments: readonly string[]
  /** Debian's name of what has it. */
  readonly package: string
}

const PROGRAMS: Readonly<Record<string, Program>> = {
  xz: { arguments: ['-dc', '-T1', `--memlimit-decompress=${XZ_MEMORY}`], package: 'xz-utils' },
  bzip2: { arguments: ['-dc'], package: 'bzip2' },
}

/**
 * Unpacks xz and bzip2 by the programs of the host, as docker does for xz: archives and root file systems come so, layers of
 * registries don't. When the iteration ends early, the program does too.
 *
 * @throws COMPRESSION_INVALID when there is no such program, and what the program says of a stream that is damaged or cut off
 */
export async function* expandByProgram(
  format: OtherFormat,
  source: ChunkSource,
): AsyncGenerator<Buffer, void, undefined> {
  const program = PROGRAMS[format]
  if (program === undefined) throw unsupported(format)
  const child = spawn(format, program.arguments)
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  ended.catch(() => undefined) // there is no program: told below
  const failed = pipeline(chunksOf(source), child.stdin).then(
    () => undefined,
    (error: unknown) => error,
  )
  let said = ''
  child.stderr.on('data', (bytes: Buffer) => {
    said = `${said}${bytes.toString('latin1')}`.slice(0, SAID_LIMIT)
  })
  try {
    await once(child, 'spawn')
    yield* child.stdout as AsyncIterable<Buffer>
    const [code] = await ended
    const why = await failed
    // The program says itself why it didn't read on.
    if (why !== undefined && !isEndOfProgram(why)) throw why
    if (code !== 0) throw new DrayError('COMPRESSION_INVALID', explain(format, said))
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
    throw new DrayError(
      'COMPRESSION_INVALID',
      `it is compressed with ${format}, which takes the program ${format}: install it (Debian: ${program.package})`,
    )
  } finally {
    child.kill('SIGKILL')
    await ended.catch(() => undefined)
  }
}

function unsupported(format: OtherFormat): DrayError {
  return new DrayError(
    'COMPRESSION_INVALID',
    `it is compressed with ${format}, which is not understood: unpack it first (${format} -d)`,
  )
}

function isEndOfProgram(error: unknown): boolean {
  return isErrno(error, 'EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE')
}

function explain(format: OtherFormat, said: string): string {
  const why = said
    .replace(/[^\x20-\x7e]+/g, ' ')
    .replace(new RegExp(`^${format}: `), '')
    .trim()
  return /memory usage limit/i.test(why)
    ? `it takes more than ${XZ_MEMORY} of memory to unpack: unpack it first (${format} -d)`
    : `${format} cannot unpack it: ${why === '' ? 'it was killed' : why}`
}

async function* chunksOf(source: ChunkSource): AsyncGenerator<Buffer> {
  for (let chunk = await source.peek(); chunk !== undefined; chunk = await source.peek()) {
    source.take()
    yield chunk
  }
}
