import { existsSync, readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { errorMessage, isDrayError } from '#oci/error.ts'
import { CGROUP_ROOT, userBusOf, userManagerOf, userRuntimeDir } from '#runner/cgroup-path.ts'
import { findRuntime } from '#runner/runtime.ts'
import { say } from '../output/print.ts'
import { openNamespaces } from './make.ts'
import type { Owner } from './sub-ids.ts'

/** Commands that do without namespaces where there can be none: files then belong to the user, whoever owned them. */
const DO_WITHOUT = new Set(
  'import push pull copy images history tag save load rmi image info system'.split(' '),
)

/** Commands that leave processes behind, or bring them into containers. */
const STARTS_PROCESSES = new Set('run start restart exec healthcheck system'.split(' '))

/** Starts the program in the place that it is in, whose path is the first word. */
const IN_PLACE = 'cd "$0" && exec "$@"'

/**
 * Goes on in the namespaces of a store, where an ordinary user is root: this process becomes a new one, with the same words,
 * input and output, and the store in its environment. Returns when the command is to go on here, without namespaces.
 *
 * @param verb the one of its verbs, or itself if it has none
 * @throws RUN_FAILED when a command can't do without them, and the host lacks something for them
 */
export async function enterNamespaces(root: string, command: string, verb: string): Promise<void> {
  const { env } = process
  let holder: number
  try {
    holder = await openNamespaces(root, thisUser(), env.PATH)
  } catch (error) {
    if (!isDrayError(error) || !DO_WITHOUT.has(command)) throw error
    if (verb === 'pull' || verb === 'import')
      say(`dray: owners of files are not kept: ${error.message}`)
    return
  }
  const nsenter = findRuntime('nsenter', env.PATH)?.path ?? 'nsenter'
  const [script = '', ...words] = process.argv.slice(1)
  const target = ['--target', String(holder), '--user', '--mount', '--preserve-credentials']
  const program = [process.execPath, ...process.execArgv, '--', script, ...words] // see bin/dray
  const entered = [nsenter, ...target, '--', 'sh', '-c', IN_PLACE, process.cwd(), ...program]
  const [first = '', ...rest] = [...(await scopeFor(command)), ...entered]
  process.execve?.(first, [first, ...rest], {
    ...env,
    DRAY_ROOT: root,
    XDG_RUNTIME_DIR: userRuntimeDir(thisUser().uid),
  })
}

/**
 * What a command begins with so that it has a cgroup of the user's systemd: only from there may processes be put into those of
 * containers, and only there they outlive the session. Empty where it is there already, or there is none.
 */
async function scopeFor(command: string): Promise<string[]> {
  const { uid } = thisUser()
  const manager = userManagerOf(uid)
  if (!STARTS_PROCESSES.has(command) || !existsSync(join(CGROUP_ROOT, manager))) return []
  if (readFileSync('/proc/self/cgroup', 'latin1').includes(`${manager}/`)) return []
  const systemdRun = findRuntime('systemd-run', process.env.PATH)
  if (systemdRun === undefined || !existsSync(userBusOf(uid))) return []
  return [systemdRun.path, '--user', '--scope', '--quiet', '--collect', '--']
}

/** Why an ordinary user has no namespaces here; undefined for root. */
export async function whyNoNamespaces(root: string): Promise<string | undefined> {
  if (process.getuid?.() === 0) return undefined
  try {
    await openNamespaces(root, thisUser(), process.env.PATH)
    return undefined
  } catch (error) {
    return errorMessage(error)
  }
}

function thisUser(): Owner {
  const uid = process.getuid?.() ?? 0
  const gid = process.getgid?.() ?? 0
  try {
    return { uid, gid, name: userInfo().username }
  } catch {
    return { uid, gid }
  }
}
