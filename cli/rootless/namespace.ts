import { join } from 'node:path'
import {
  isSameProcess,
  killAndWait,
  namespaceOf,
  processesIn,
  readBootId,
  startTicks,
} from '#runner/processes.ts'
import { readStateFile, writeStateFile } from '#runner/state-file.ts'

/**
 * The namespaces of an ordinary user's store: a user namespace, where the user is root, and a mount namespace, where its
 * containers' file systems are mounted. They last as long as a process is in them. One that does nothing else holds them; when it
 * was killed, any monitor of a container leads to them as well.
 *
 *     <root>/namespace.json    who holds them
 *     <root>/namespace.lock    flock held while they are made
 *     <root>/run/              a tmpfs in them: what OCI runtimes know of containers goes when they go
 */
export interface Namespaces {
  /** The process that holds them, and when it was started, in ticks since the boot. */
  readonly pid: number
  readonly ticks: string
  /** Which boot of the host all these numbers belong to. */
  readonly bootId: string
  /** What the kernel calls them: `user:[4026532201]`. */
  readonly user: string
  readonly mount: string
}

/** What a store has beside the namespaces. */
export function namespacePaths(root: string) {
  return {
    record: join(root, 'namespace.json'),
    lock: join(root, 'namespace.lock'),
    run: join(root, 'run'),
  } as const
}

/** A process that is in the namespaces of a store; undefined when there are none now. */
export function findHolder(root: string): number | undefined {
  const known = readNamespaces(root)
  if (known === undefined || known.bootId !== readBootId()) return undefined
  if (isSameProcess(known.pid, known.ticks)) return known.pid
  return processesIn('user', known.user).find((pid) => namespaceOf(pid, 'mnt') === known.mount)
}

/**
 * Kills what is left of the containers of namespaces that nobody can enter any more: their file systems are in no namespace that
 * a command could see.
 */
export async function killForsaken(root: string): Promise<void> {
  const known = readNamespaces(root)
  if (known === undefined || known.bootId !== readBootId()) return
  await Promise.all(processesIn('user', known.user).map(killAndWait))
}

/** Writes down who holds the namespaces of a store. */
export function writeHolder(root: string, pid: number): void {
  const { record } = namespacePaths(root)
  const namespaces: Namespaces = {
    pid,
    ticks: startTicks(pid) ?? '',
    bootId: readBootId(),
    user: namespaceOf(pid, 'user') ?? '',
    mount: namespaceOf(pid, 'mnt') ?? '',
  }
  writeStateFile(record, `${JSON.stringify(namespaces, undefined, 2)}\n`)
}

function readNamespaces(root: string): Namespaces | undefined {
  return readStateFile(namespacePaths(root).record)
}
