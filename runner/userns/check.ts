import { DrayError } from '#oci/error.ts'
import { isUserModeProgram } from '../network/user-mode/programs.ts'
import type { ContainerOptions } from '../options.ts'

/** What belongs to other namespaces can't be touched by root of a new one. @throws USAGE */
export function checkUserNamespace(options: ContainerOptions): void {
  if (options.userns === undefined) {
    if (!options.volumes?.some(({ mapsIds }) => mapsIds)) return
    throw new DrayError('USAGE', 'idmap is for volumes of containers with --userns')
  }
  const { pid, ipc, uts, network } = options
  const shared = Object.entries({ pid, ipc, uts, network }).find(
    ([, mode]) =>
      mode === 'host' || mode?.startsWith('container:') || isUserModeProgram(mode ?? ''),
  )
  const other = options.privileged ? '--privileged' : shared && `--${shared[0]} ${shared[1]}`
  if (other !== undefined)
    throw new DrayError('USAGE', `${other} needs the ids of the host: add --userns host`)
}
