import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { DrayError, errorMessage } from '#oci/error.ts'
import { processesOf } from '../cgroup.ts'
import { cgroupOf } from '../cgroup-path.ts'
import type { Container } from '../containers/state.ts'
import { processesBeside } from '../processes.ts'
import { requireRunning } from './kill.ts'

const run = promisify(execFile)

/**
 * The processes of a container as the host's ps(1) shows them, in the host's numbers.
 *
 * @param options of ps; they must leave a column PID. Default `-ef`
 * @returns the heading and a line for each process
 * @throws CONTAINER_STATE, USAGE
 */
export async function containerProcesses(
  container: Container,
  options: readonly string[] = [],
): Promise<string[]> {
  const first = requireRunning(container)
  const { stdout } = await run('ps', options.length > 0 ? [...options] : ['-ef']).catch((cause) => {
    throw new DrayError('USAGE', `ps: ${errorMessage(cause)}`, { cause })
  })
  const [heading = '', ...lines] = stdout.trimEnd().split('\n')
  const column = heading.trim().split(/\s+/).indexOf('PID')
  if (column < 0) throw new DrayError('USAGE', 'ps shows no column PID with these options')
  const inCgroup = processesOf(cgroupOf(container.id, container.record.options))
  const pids = new Set((inCgroup.length > 0 ? inCgroup : processesBeside(first)).map(String))
  return [heading, ...lines.filter((line) => pids.has(line.trim().split(/\s+/)[column] ?? ''))]
}
