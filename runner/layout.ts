import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/**
 * What a container leaves on the host as long as it exists. `<root>` is the local store.
 *
 *     <root>/events.jsonl events.1.jsonl   what happened to containers
 *     <root>/container-names/<name>   a symlink that holds the id
 *     <root>/containers/<id>/     the OCI bundle; only root may enter
 *       lock                      held by flock(2) by whoever changes the container; as long as it runs, without a monitor
 *       record.json               who this is, how it is run, and what became of it
 *       config.json               runtime spec
 *       pid                       of the container's first process, in the host's numbers
 *       runtime.log               what the OCI runtime says, JSON lines
 *       output.log output.log.1   what the container says, in the lines of Kubernetes, and what it said before
 *       exit oom                  the exit code, and that memory ran out, as the monitor writes them
 *       health.json               what the last health checks said; health.watch: the process that makes them
 *       network.json              its namespace, address and ports, while it is on a network
 *       user-network.json netns   the same without root: who makes its network, and where its namespace is mounted
 *       network.log slirp.sock    what that program says, and where it takes ports
 *       monitor.pid attach ctl winsz   the monitor's: its pid, its socket and its pipes
 *       exec-<id>/                of a command that is run beside: process.json, pid, runtime.log, its monitor's socket and pipes
 *       hosts hostname resolv.conf   mounted inside, in /etc
 *       userns mapped/            its user namespace, and what is mounted by the ids of that, while it runs
 *       shm/                      another container's /dev/shm, while it runs with that
 *       empty/                    the only lower directory of an image without layers
 *       upper/ work/              overlay's
 *       merged/                   where the overlay is mounted
 *
 *     /run/dray/rootfs/<id>/      its root file system, where its root may enter, with a user namespace
 *     /var/lib/dray/id-ranges/    which containers, of all stores of the host, have which ids
 *     <stateDir>/<runtime>/<id>/  the OCI runtime's own state, on a tmpfs: gone after a reboot
 */

/** 64 hex digits. */
const ID = /^[0-9a-f]{64}$/

/** Where OCI runtimes keep their state by default. */
export const DEFAULT_STATE_DIR = '/run/dray'

/** How the names of directories begin that hold the files of commands run beside a container's own, as long as those last. */
const EXEC_DIR = 'exec-'

/** Files mounted at /etc inside. */
export const ETC_FILES = ['hosts', 'hostname', 'resolv.conf'] as const

/** Those of {@link ETC_FILES} that a container gets. */
export function etcFilesOf({ keepsHosts }: { readonly keepsHosts?: boolean | undefined }) {
  return ETC_FILES.filter((name) => name !== 'hosts' || !keepsHosts)
}

/** Absolute paths of what a container has on the host, as drawn above. */
export interface ContainerPaths {
  readonly dir: string
  readonly lock: string
  readonly record: string
  readonly config: string
  readonly pid: string
  readonly log: string
  readonly output: string
  readonly exit: string
  readonly oom: string
  readonly monitorPid: string
  readonly network: string
  readonly userNetwork: string
  readonly netns: string
  readonly health: string
  readonly healthWatch: string
  readonly userNamespace: string
  readonly mapped: string
  readonly shm: string
  readonly empty: string
  readonly upper: string
  readonly work: string
  readonly merged: string
}

/** Where the containers of a store are. */
export function containersDir(root: string): string {
  return join(root, 'containers')
}

/** The store that a container belongs to. */
export function rootOf({ dir }: ContainerPaths): string {
  return join(dir, '../..')
}

/** Where the names of a store's containers are. */
export function namesDir(root: string): string {
  return join(root, 'container-names')
}

/** Absolute paths of what a command has that is run beside a container's own. */
export interface ExecPaths {
  readonly dir: string
  readonly process: string
  readonly pid: string
  readonly log: string
}

export function execPaths({ dir: container }: Pick<ContainerPaths, 'dir'>, id: string): ExecPaths {
  const dir = join(container, `${EXEC_DIR}${id}`)
  return {
    dir,
    process: join(dir, 'process.json'),
    pid: join(dir, 'pid'),
    log: join(dir, 'runtime.log'),
  }
}

/** The ids of the commands that are run beside a container's own. */
export function execIds({ dir }: Pick<ContainerPaths, 'dir'>): string[] {
  const names = readdirSync(dir).filter((name) => name.startsWith(EXEC_DIR))
  return names.map((name) => name.slice(EXEC_DIR.length))
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
    output: join(dir, 'output.log'),
    exit: join(dir, 'exit'),
    oom: join(dir, 'oom'),
    monitorPid: join(dir, 'monitor.pid'),
    network: join(dir, 'network.json'),
    userNetwork: join(dir, 'user-network.json'),
    netns: join(dir, 'netns'),
    health: join(dir, 'health.json'),
    healthWatch: join(dir, 'health.watch'),
    userNamespace: join(dir, 'userns'),
    mapped: join(dir, 'mapped'),
    shm: join(dir, 'shm'),
    empty: join(dir, 'empty'),
    upper: join(dir, 'upper'),
    work: join(dir, 'work'),
    merged: join(dir, 'merged'),
  }
}
