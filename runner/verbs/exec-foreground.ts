import type { Process } from '#oci/runtime-spec.ts'
import { readCgroups, runtimeEnvironment } from '../cgroup.ts'
import type { Container } from '../containers/state.ts'
import type { RunnerContext } from '../context.ts'
import type { ExecPaths } from '../layout.ts'
import { execMonitored, type StartedExec } from '../monitor/exec.ts'
import { sendSignal } from '../processes.ts'
import { explainStart, type OciRuntime } from '../runtime.ts'
import { SignalCatcher } from '../signals.ts'
import { type Attachment, type AttachStreams, attachTo, tellSize } from './attach.ts'

/** A command to be run beside a container's own, by a monitor that holds its terminal. */
export interface ForegroundExec {
  readonly id: string
  readonly paths: ExecPaths
  readonly process: Process
  readonly runtime: OciRuntime
  readonly conmon: string
  readonly streams: AttachStreams
}

/**
 * Has a monitor run a command, and looks on until it ends.
 *
 * @returns its exit code; undefined when the keys to detach were typed, and it goes on
 * @throws COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE, RUN_FAILED
 */
export async function execInForeground(
  { record }: Container,
  { id, paths, process, runtime, conmon, streams }: ForegroundExec,
  context: RunnerContext,
): Promise<number | undefined> {
  const { runtimeRoot, id: containerId } = record
  const env = runtimeEnvironment(context.hostEnv.PATH)
  const signals = new SignalCatcher()
  let attachment: Attachment | undefined
  let started: StartedExec | undefined
  try {
    started = await execMonitored(
      conmon,
      { containerId, id, paths, runtime, runtimeRoot },
      { env, cgroups: await readCgroups() },
      async () => {
        attachment = attachTo(paths.dir, streams)
        await tellSize(paths.dir, streams)
      },
    ).catch((error: unknown) => {
      throw explainStart(runtime, paths.log, process) ?? error
    })
    const { pid } = started
    signals.deliverTo((signal) => sendSignal(pid, signal))
    const hasEnded = (await attachment?.run()) ?? true
    return hasEnded ? await started.exitCode() : undefined
  } finally {
    started?.release()
    signals.release()
  }
}
