import { DrayError } from '#oci/error.ts'
import { openContainer, realContainersDir } from '../containers/find.ts'
import { type Container, isRunning, readState } from '../containers/state.ts'
import type { LogLine } from '../log/line.ts'
import { followLog, type ReadLogOptions, readLog } from '../log/read.ts'

export interface LogsOptions extends ReadLogOptions {
  /** Goes on until the container ends. */
  readonly follow?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * What a container has said.
 *
 * @throws CONTAINER_STATE when its output goes elsewhere
 */
export function containerLogs(
  root: string,
  container: Container,
  options: LogsOptions = {},
): AsyncGenerator<LogLine> {
  const { record, paths, id } = container
  if (record.keeper === 'owner') {
    throw noLogs(record.name, 'it runs in the foreground with --rm, and its output goes there')
  }
  const driver = record.options.log?.driver ?? 'k8s-file'
  if (driver === 'none') throw noLogs(record.name, 'its log driver is none')
  if (driver === 'journald') {
    throw noLogs(record.name, `its log is in the journal: journalctl CONTAINER_ID_FULL=${id}`)
  }
  if (!options.follow) return readLog(paths.output, options)
  const isOpen = async () => {
    const now = await openContainer(realContainersDir(root) ?? '', id)
    return now !== undefined && isRunning(readState(now))
  }
  return followLog(paths.output, { ...options, isOpen })
}

function noLogs(name: string, why: string): DrayError {
  return new DrayError('CONTAINER_STATE', `container ${name} has no logs here: ${why}`)
}
