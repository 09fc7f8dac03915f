import { join } from 'node:path'

/**
 * What a container leaves on the host while it runs. `<root>` is the local store; nothing here outlives the container.
 *
 *     <root>/containers/<id>/     the OCI bundle; only root may enter
 *       lock                      held by flock(2) as long as the owner lives
 *       record.json               what is needed to clean up, and who this is
 *       config.json               runtime spec
 *       pid                       of the container's first process, in the host's numbers
 *       runtime.log               what the OCI runtime says, JSON lines
 *       hosts hostname resolv.conf   mounted inside, in /etc
 *       empty/                    the only lower directory of an image without layers
 *       upper/ work/              overlay's
 *       merged/                   where the overlay is mounted
 *
 *     <stateDir>/<runtime>/<id>/  the OCI runtime's own state, on a tmpfs: gone after a reboot
 */

/** 64 hex digits. */
const ID = /^[0-9a-f]{64}$/

/** Where OCI runtimes keep their state by default. */
export const DEFAULT_STATE_DIR = '/run/dray'

/** Files mounted at /etc inside. */
export const ETC_FILES = ['hosts', 'hostname', 'resolv.conf'] as const

/** Absolute paths of what a container has on the host, as drawn above. */
export interface ContainerPaths {
  readonly dir: string
  readonly lock: string
  readonly record: string
  readonly config: string
  readonly pid: string
  readonly log: string
  readonly empty: string
  readonly upper: string
  readonly work: string
  readonly merged: string
}

/** Where the containers of a store are. */
export function containersDir(root: string): string {
  return join(root, 'containers')
}

/** Whether a name in {@link containersDir} is that of a container. */
export function isContainerId(name: string): boolean {
  return ID.test(name)
}

/** The paths of one container. `containers` is free of links when it is compared with mount points. */
export function containerPaths(containers: string, id: string): ContainerPaths {
  const dir = join(containers, id)
  return {
    dir,
    lock: join(dir, 'lock'),
    record: join(dir, 'record.json'),
    config: join(dir, 'config.json'),
    pid: join(dir, 'pid'),
    log: join(dir, 'runtime.log'),
    empty: join(dir, 'empty'),
    upper: join(dir, 'upper'),
    work: join(dir, 'work'),
    merged: join(dir, 'merged'),
  }
}
