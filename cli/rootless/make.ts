import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { DrayError, errorMessage } from '#oci/error.ts'
import { exclusivelyAsync } from '#runner/file-lock.ts'
import { findRuntime } from '#runner/runtime.ts'
import { findHolder, killForsaken, namespacePaths, writeHolder } from './namespace.ts'
import { mapArguments, type Owner, readSubIds, type SubIds } from './sub-ids.ts'

const run = promisify(execFile)

/**
 * The process that holds the namespaces. It says when they are there, waits for its users to be mapped, becomes root among them
 * by starting anew, and waits to be written down: whoever makes it may be killed at any moment, and then it ends, too.
 */
const HOLD = 'echo made; read -r mapped && exec sh -c "$1" sh "$2"'
const HOLD_AS_ROOT =
  'mount -t tmpfs -o mode=700 tmpfs "$1" && echo ready && read -r known && exec sleep infinity'

/**
 * Finds the namespaces of a store, or makes them.
 *
 * @returns the number of a process in them
 * @throws RUN_FAILED with what the host lacks
 */
export async function openNamespaces(root: string, owner: Owner, path?: string): Promise<number> {
  const found = findHolder(root)
  if (found !== undefined) return found
  const ids = readSubIds(owner)
  const programs = findPrograms(path)
  mkdirSync(root, { recursive: true, mode: 0o700 })
  return await exclusivelyAsync(namespacePaths(root).lock, async () => {
    const made = findHolder(root)
    if (made !== undefined) return made
    await killForsaken(root)
    return await makeNamespaces(root, owner, ids, programs)
  })
}

interface Programs {
  readonly unshare: string
  readonly newuidmap: string
  readonly newgidmap: string
}

function findPrograms(path: string | undefined): Programs {
  const find = (name: string, debianPackage: string) => {
    const program = findRuntime(name, path)
    if (program !== undefined) return program.path
    const message = `${name} is not installed, which containers of an ordinary user need. Try: apt-get install ${debianPackage}`
    throw new DrayError('RUN_FAILED', message)
  }
  return {
    unshare: find('unshare', 'util-linux'),
    newuidmap: find('newuidmap', 'uidmap'),
    newgidmap: find('newgidmap', 'uidmap'),
  }
}

async function makeNamespaces(
  root: string,
  owner: Owner,
  ids: SubIds,
  programs: Programs,
): Promise<number> {
  const { run: runDir } = namespacePaths(root)
  mkdirSync(runDir, { recursive: true, mode: 0o700 })
  const child = spawn(
    programs.unshare,
    ['--user', '--mount', '--propagation', 'slave', 'sh', '-c', HOLD, 'sh', HOLD_AS_ROOT, runDir],
    { cwd: '/', detached: true, stdio: ['pipe', 'pipe', 'pipe'] },
  )
  try {
    const pid = await hold(child, async (holder) => {
      const map = (program: string, own: number, ranges: SubIds['users']) =>
        run(program, [String(holder), ...mapArguments(own, ranges)])
      await map(programs.newuidmap, owner.uid, ids.users)
      await map(programs.newgidmap, owner.gid, ids.groups)
    })
    writeHolder(root, pid)
    child.stdin.write('known\n')
    return pid
  } catch (error) {
    child.kill('SIGKILL')
    throw refused(error)
  } finally {
    child.stdin.end()
    child.stdout.destroy()
    child.stderr.destroy()
    child.unref()
  }
}

/** Goes with the new process through what it says. @returns its number when all is there */
async function hold(
  child: ChildProcess & {
    readonly stdin: NodeJS.WritableStream
    readonly stdout: NodeJS.ReadableStream
  },
  map: (pid: number) => Promise<void>,
): Promise<number> {
  let said = ''
  child.stderr?.on('data', (chunk) => {
    said += String(chunk)
  })
  child.stdin.on('error', () => undefined) // it ended, and says why
  const failed = once(child, 'error').then(([error]) => {
    throw error
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const expect = async (word: string) => {
    const { value } = await Promise.race([lines.next(), failed])
    if (value !== word) throw new Error(said.trim() || 'unshare ended without a word')
  }
  await expect('made')
  const pid = child.pid ?? 0
  await map(pid)
  child.stdin.write('mapped\n')
  await expect('ready')
  return pid
}

function refused(cause: unknown): DrayError {
  const advice =
    'See that the host lets ordinary users make user namespaces: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns, where they exist'
  const message = `cannot make a user namespace: ${errorMessage(cause)}. ${advice}`
  return new DrayError('RUN_FAILED', message, { cause })
}
