import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { DrayError } from '#oci/error.ts'
import type { Cgroups } from '../cgroup.ts'
import { keepDescriptorsPrivate } from '../sys.ts'
import { moveToMonitors } from './own-cgroup.ts'

export interface MonitorSettings {
  /** Its working directory, where it leaves a file of its own when memory ran out. */
  readonly dir: string
  readonly env: NodeJS.ProcessEnv
  readonly cgroups: Cgroups
  /** Descriptors to keep open as long as it runs. */
  readonly keeps?: readonly number[] | undefined
  /** Whether it waits for somebody to connect before it runs anything (`--exec-attach`). */
  readonly waits?: boolean | undefined
}

/** A monitor that was started, and waits to be told to go on. */
export interface MonitorProcess {
  /** Tells it to go on, as often as it waits for that. */
  goOn(): void
  /** Waits until somebody can connect to what it is going to run. */
  listens(): Promise<void>
  /**
   * The first thing that it reports: the number of the process that it had the runtime make.
   *
   * @throws RUN_FAILED with what it, or the runtime, said
   */
  pid(): Promise<number>
  /** The second one, of a command that ended. @throws RUN_FAILED when it was killed before */
  exitCode(): Promise<number>
  /** Leaves it to itself. */
  release(): void
}

/** Starts conmon in a cgroup of its own: it goes on, whatever becomes of this process. */
export function startMonitor(
  conmon: string,
  args: readonly string[],
  { dir, env, cgroups, keeps = [], waits = false }: MonitorSettings,
): MonitorProcess {
  keepDescriptorsPrivate()
  const child = spawn(conmon, args, {
    stdio: [
      'ignore',
      'ignore',
      'pipe',
      'pipe',
      'pipe',
      ...(waits ? ['pipe' as const] : []),
      ...keeps,
    ],
    cwd: dir,
    env: {
      ...env,
      _OCI_SYNCPIPE: '3',
      _OCI_STARTPIPE: '4',
      ...(waits && { _OCI_ATTACHPIPE: '5' }),
    },
    detached: true,
  })
  const failed = once(child, 'error').then(([error]) => {
    throw new DrayError('RUN_FAILED', `cannot start ${conmon}: ${error.message}`, { cause: error })
  })
  failed.catch(() => undefined) // told by the first that waits
  const [sync, start] = [child.stdio[3] as Readable, child.stdio[4] as Writable]
  const attach = child.stdio.at(5) // only when it waits
  start.on('error', () => undefined) // it ended before it was told to go on, and says why
  let said = ''
  child.stderr?.on('data', (chunk) => {
    said += String(chunk)
  })
  const reports = linesOf(sync)
  const next = async (lines: AsyncGenerator<string>) => {
    const { value, done } = await Promise.race([lines.next(), failed])
    return done ? '' : value
  }
  if (child.pid !== undefined) moveToMonitors(child.pid, cgroups)
  return {
    goOn: () => void start.write('\n'),
    listens: async () => void (await next(linesOf(attach as Readable))),
    pid: async () => parseReport(await next(reports), said, 2),
    exitCode: async () => parseReport(await next(reports), said, 0),
    release() {
      for (const stream of [sync, start, attach, child.stderr]) stream?.destroy()
      child.unref()
    },
  }
}

async function* linesOf(stream: Readable): AsyncGenerator<string> {
  let text = ''
  for await (const chunk of stream) {
    const lines = (text + String(chunk)).split('\n')
    text = lines.pop() ?? ''
    yield* lines
  }
}

/** Reads `{"data": NUMBER}`, which is `least` or more, or `{"data": -1, "message": TEXT}`. */
function parseReport(line: string, said: string, least: number): number {
  const report = parseLine(line)
  if (report !== undefined && report.data >= least) return report.data
  const reason = report?.message ?? said.trim()
  throw new DrayError('RUN_FAILED', reason === '' ? 'conmon ended without a word' : reason)
}

function parseLine(line: string): { data: number; message?: string } | undefined {
  try {
    const { data, pid, message } = JSON.parse(line)
    return {
      data: Number(data ?? pid),
      ...(typeof message === 'string' && { message: message.trim() }),
    }
  } catch {
    return undefined
  }
}
