import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { DrayError } from '#oci/error.ts'
import { bindMount } from '../sys.ts'
import { type IdMap, mapText } from './id-map.ts'

/**
 * Makes a user namespace and mounts it on a new file, so that it lives without a process. One with threads, as this, can't be
 * in it even for a moment.
 *
 * @throws RUN_FAILED
 */
export async function makeUserNamespace(path: string, map: IdMap): Promise<void> {
  await withUserNamespace(map, async (pid) => mountNamespace(pid, 'user', path))
}

/** Makes a network namespace that belongs to a user namespace, and mounts it on a new file. @throws RUN_FAILED */
export async function makeOwnedNetworkNamespace(
  path: string,
  userNamespace: string,
): Promise<void> {
  const argv = ['nsenter', `--user=${userNamespace}`, '--', 'unshare', '--net', 'cat']
  await whileInside(argv, async (pid) => mountNamespace(pid, 'net', path))
}

/** Lets work have a user namespace, by the number of a process that is in it. @throws RUN_FAILED */
export async function withUserNamespace<T>(
  map: IdMap,
  work: (pid: number) => Promise<T>,
): Promise<T> {
  return await whileInside(['unshare', '--user', 'cat'], async (pid) => {
    await writeFile(`/proc/${pid}/uid_map`, mapText(map.uids))
    await writeFile(`/proc/${pid}/gid_map`, mapText(map.gids))
    return await work(pid)
  })
}

function mountNamespace(pid: number, kind: 'user' | 'net', path: string): void {
  closeSync(openSync(path, 'w', 0o600))
  bindMount(`/proc/${pid}/ns/${kind}`, path)
}

/** The process is where it should be as soon as cat(1) says a word again. It ends with this one at the latest. */
async function whileInside<T>(
  [program = '', ...args]: readonly string[],
  work: (pid: number) => Promise<T>,
): Promise<T> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = endOf(child)
  try {
    child.stdin.write('\n')
    await Promise.race([once(child.stdout, 'data'), ended])
    return await work(child.pid ?? 0)
  } finally {
    child.stdin.end()
    await ended.catch(() => undefined)
  }
}

/** Rejects unless it ends well. */
function endOf(child: ChildProcess): Promise<void> {
  let said = ''
  child.stderr?.on('data', (chunk) => {
    said += String(chunk)
  })
  child.stdin?.on('error', () => undefined)
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(said.trim()))))
  }).catch((cause: Error) => {
    const message = `cannot make a user namespace (unshare(1) and nsenter(1) of util-linux do): ${cause.message}`
    throw new DrayError('RUN_FAILED', message, { cause })
  })
  ended.catch(() => undefined)
  return ended
}
