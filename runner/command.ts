import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path/posix'
import { DrayError } from '#oci/error.ts'
import { findVariable } from './environment.ts'
import { type ContainerOptions, isInside, normalPath } from './options.ts'
import { resolveInRoot } from './rootfs-files.ts'

// execve(2): the kernel reads this much to tell what a file is.
const HEAD = 256
const ELF = '\x7fELF'
const BINFMT_DIR = '/proc/sys/fs/binfmt_misc'
const BINFMT_CONTROL = ['register', 'status']

/** Trees whose files are others inside than in the image. */
const RUNTIME_TREES = ['/proc', '/sys', '/dev']

/**
 * Looks for a command in a mounted root file system before a runtime is started for it: the message is ours, the same
 * for every runtime, and it comes at once. What can't be judged from here passes.
 *
 * @throws COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE
 */
export async function checkCommand(
  root: string,
  process: {
    readonly args: readonly string[]
    readonly env: readonly string[]
    readonly cwd: string
  },
): Promise<void> {
  const [name = ''] = process.args
  if (name === '') throw notFound(name, 'the command is empty')
  const candidates = candidatePaths(name, process.cwd, findVariable(process.env, 'PATH') ?? '')
  if (candidates.some((path) => RUNTIME_TREES.some((dir) => isInside(path, dir)))) return
  const found = candidates.flatMap((path) => resolveInRoot(root, path) ?? [])
  const runnable = found.find((path) => isRunnable(join(root, path)))
  if (runnable !== undefined) return checkFormat(root, name, runnable)
  if (found.length === 0) throw notFound(name, whyNowhere(name))
  throw notExecutable(name, 'it is a directory, or no one may execute it')
}

/**
 * Looks for the directory to run a command in, as {@link checkCommand} does for the command.
 *
 * @throws COMMAND_NOT_EXECUTABLE
 */
export function checkWorkdir(
  root: string,
  { args: [name = ''], cwd }: { readonly args: readonly string[]; readonly cwd: string },
): void {
  if (RUNTIME_TREES.some((dir) => isInside(normalPath(cwd), dir))) return
  const found = resolveInRoot(root, cwd)
  if (found !== undefined && statSync(join(root, found)).isDirectory()) return
  throw notExecutable(name, `there is no directory ${cwd} in the container to run it in`)
}

/** Whether something that is mounted may hold the command; then only the runtime can tell. */
export function mayBringCommand({ volumes, tmpfs, cdiDevices }: ContainerOptions): boolean {
  return [volumes, tmpfs, cdiDevices].some((mounts) => mounts !== undefined && mounts.length > 0)
}

/** The files that a name may stand for, in order, as a shell finds them. */
export function candidatePaths(name: string, cwd: string, searchPath: string): string[] {
  if (name.startsWith('/')) return [normalPath(name)]
  if (name.includes('/')) return [normalPath(join(cwd, name))]
  return searchPath.split(':').map((dir) => resolve(cwd, dir, name))
}

async function checkFormat(root: string, name: string, path: string): Promise<void> {
  const head = readHead(join(root, path))
  if (head.startsWith(ELF)) return
  if (!head.startsWith('#!')) {
    if (await hasOtherFormats()) return
    throw notExecutable(name, 'it is neither an ELF program nor a script that starts with #!')
  }
  const interpreter = /^#![ \t]*([^ \t\n]+)/.exec(head)?.[1]
  if (interpreter?.startsWith('/') && resolveInRoot(root, interpreter) === undefined) {
    throw notFound(name, `its interpreter ${interpreter} is not in the image`)
  }
}

function isRunnable(path: string): boolean {
  const stats = statSync(path)
  return stats.isFile() && (stats.mode & 0o111) !== 0
}

function readHead(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const bytes = Buffer.alloc(HEAD)
    return fstatSync(fd).isFile() ? bytes.toString('latin1', 0, readSync(fd, bytes)) : ''
  } finally {
    closeSync(fd)
  }
}

/** Whether the host's kernel runs other formats too, such as programs of another processor. */
async function hasOtherFormats(): Promise<boolean> {
  const names = await readdir(BINFMT_DIR).catch(() => [])
  return names.some((name) => !BINFMT_CONTROL.includes(name))
}

function whyNowhere(name: string): string {
  if (name.startsWith('-')) return 'not in PATH; options go before the image or the container'
  return name.includes('/') ? 'no such file' : 'not in PATH'
}

function notFound(name: string, why: string): DrayError {
  return new DrayError('COMMAND_NOT_FOUND', `cannot run ${JSON.stringify(name)}: ${why}`)
}

function notExecutable(name: string, why: string): DrayError {
  return new DrayError('COMMAND_NOT_EXECUTABLE', `cannot run ${JSON.stringify(name)}: ${why}`)
}
