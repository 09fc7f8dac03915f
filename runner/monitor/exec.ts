import type { Cgroups } from '../cgroup.ts'
import type { ExecPaths } from '../layout.ts'
import type { OciRuntime } from '../runtime.ts'
import { startMonitor } from './process.ts'

/** A command to run beside a container's own, with a terminal that its monitor holds. */
export interface MonitoredExec {
  readonly containerId: string
  readonly id: string
  readonly paths: ExecPaths
  readonly runtime: OciRuntime
  readonly runtimeRoot: string
}

/** A command that runs, and whose monitor tells of its end. */
export interface StartedExec {
  readonly pid: number
  /** @throws RUN_FAILED when the monitor was killed before it could tell */
  exitCode(): Promise<number>
  /** Leaves both to themselves. */
  release(): void
}

/** conmon's arguments (conmon(8)). What the command has on disk goes when it has ended. Pure. */
export function execMonitorArguments({
  containerId,
  id,
  paths,
  runtime,
  runtimeRoot,
}: MonitoredExec): string[] {
  const globals = ['--root', runtimeRoot, '--log', paths.log, '--log-format', 'json']
  return [
    ...['--api-version', '1', '--cid', containerId, '--cuuid', id, '--name', id],
    ...['--bundle', paths.dir, '--persist-dir', paths.dir, '--full-attach'],
    ...['--exec', '--exec-attach', '--exec-process-spec', paths.process],
    ...['--container-pidfile', paths.pid, '--runtime', runtime.path],
    ...globals.flatMap((word) => ['--runtime-arg', word]),
    ...['--log-path', 'none:', '--terminal', '--stdin'],
    ...['--exit-command', '/bin/rm'],
    ...['-rf', paths.dir].flatMap((arg) => ['--exit-command-arg', arg]),
  ]
}

/**
 * Has a monitor run a command in a container that runs. It begins when `connect` has, so that nothing is missed.
 *
 * @throws RUN_FAILED with what conmon or the runtime said
 */
export async function execMonitored(
  conmon: string,
  exec: MonitoredExec,
  settings: { readonly env: NodeJS.ProcessEnv; readonly cgroups: Cgroups },
  connect: () => Promise<void>,
): Promise<StartedExec> {
  const args = execMonitorArguments(exec)
  const monitor = startMonitor(conmon, args, { ...settings, dir: exec.paths.dir, waits: true })
  try {
    monitor.goOn()
    await monitor.listens()
    await connect()
    monitor.goOn()
    const pid = await monitor.pid()
    return { pid, exitCode: monitor.exitCode, release: monitor.release }
  } catch (error) {
    monitor.release()
    throw error
  }
}
