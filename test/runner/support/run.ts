import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Rootfs } from '#oci/rootfs.ts'
import {
  type ContainerOptions,
  cleanUpContainers,
  type RunContext,
  runContainer,
} from '#runner/index.ts'
import { containerPaths, containersDir } from '#runner/layout.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { makeBusyboxTree, rootfsOf } from './busybox.ts'

/** A place to run containers in, with an image of one busybox layer. What a test leaves running there ends with it. */
export interface Playground {
  readonly dir: string
  readonly root: string
  readonly layer: string
  readonly rootfs: Rootfs
  /** Processes that end with the test at the latest. */
  readonly children: ChildProcess[]
}

export interface Output {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export function playground(t: TestContext): Playground {
  const place = { dir: '', root: '', layer: '', children: [] as ChildProcess[] }
  // Registered before the directory's own removal, which must not find anything mounted.
  t.after(() => endAll(place))
  place.dir = tempDir(t)
  place.root = join(place.dir, 'store')
  mkdirSync(place.root)
  place.layer = makeBusyboxTree(join(place.dir, 'layer'))
  return Object.assign(place, { rootfs: rootfsOf([place.layer]) })
}

async function endAll(place: Omit<Playground, 'rootfs'>): Promise<void> {
  const running = place.children.filter((child) => child.exitCode === null && !child.signalCode)
  const ended = running.map(exitOf)
  for (const child of running) child.kill('SIGKILL')
  await Promise.all(ended)
  await cleanUpContainers(place.root)
}

/** Runs a shell command, or words, in a container of the playground, and reads what it says. */
export async function runIn(
  place: Playground,
  command: string | readonly string[],
  options: ContainerOptions & { readonly rootfs?: Rootfs; readonly signal?: AbortSignal } = {},
): Promise<Output> {
  const { rootfs = place.rootfs, signal, ...rest } = options
  const words = typeof command === 'string' ? ['sh', '-c', command] : command
  const name = join(place.dir, `output-${Math.random().toString(36).slice(2)}`)
  const [out, err] = [openSync(`${name}.out`, 'w'), openSync(`${name}.err`, 'w')]
  try {
    const { exitCode } = await runContainer(
      rootfs,
      { command: words, ...rest },
      { root: place.root, hostEnv: process.env, stdio: ['ignore', out, err], signal },
    )
    const [stdout, stderr] = [
      readFileSync(`${name}.out`, 'utf8'),
      readFileSync(`${name}.err`, 'utf8'),
    ]
    return { exitCode, stdout, stderr }
  } finally {
    closeSync(out)
    closeSync(err)
  }
}

/** A process of its own that runs a container of the playground and ends with its exit code. */
export function spawnRun(
  place: Playground,
  command: readonly string[],
  options: ContainerOptions = {},
): ChildProcess {
  const child = spawn(process.execPath, runArguments(place, { command, ...options }), {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  place.children.push(child)
  return child
}

/** Arguments of Node for {@link spawnRun}. */
export function runArguments(
  place: Playground,
  options: ContainerOptions,
  context: Partial<RunContext> = {},
): string[] {
  const program = join(import.meta.dirname, 'run-container.ts')
  const { root, rootfs } = place
  return [program, JSON.stringify({ rootfs, options, context: { root, ...context } })]
}

/** Resolves when a child's output has had a text in it. To be called before it has. */
export function outputHas(child: ChildProcess, text: string): Promise<void> {
  let seen = ''
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (chunk) => {
      seen += String(chunk)
      if (seen.includes(text)) resolve()
    })
    child.stdout?.once('end', () => reject(new Error(`no ${JSON.stringify(text)} in: ${seen}`)))
  })
}

export function exitOf(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  })
}

/** What containers of a playground have left on the host, each as a line; a container's cgroup and state bear its id. */
export function leftovers(place: Playground, ids: readonly string[] = []): string[] {
  const containers = containersDir(place.root)
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  return [
    ...(existsSync(containers) ? readdirSync(containers) : []).map((name) => `directory ${name}`),
    ...mounts.filter((line) => line.includes(` ${place.dir}/`)).map((line) => `mount ${line}`),
    ...ids.flatMap((id) => cgroupsOf(id).map((path) => `cgroup ${path}`)),
    ...ids.filter((id) => existsSync(`/run/dray/runc/${id}`)).map((id) => `state ${id}`),
    ...processesNaming(place.dir).map((text) => `process ${text}`),
  ]
}

export function containerIds(place: Playground): string[] {
  return readdirSync(containersDir(place.root))
}

/** The program that a container's first process runs; undefined when there is none. */
export function firstProgram(place: Playground): string | undefined {
  try {
    const { pid } = containerPaths(containersDir(place.root), containerIds(place)[0] ?? '')
    return readFileSync(`/proc/${readFileSync(pid, 'utf8')}/comm`, 'utf8').trim()
  } catch {
    return undefined
  }
}

/** Waits until `probe` says yes; fails after a minute, which a busy machine may take for what takes seconds. */
export async function until(
  what: string,
  probe: () => boolean | Promise<boolean>,
  withinMs = 60_000,
): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await probe())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
    await delay(20)
  }
}

function cgroupsOf(id: string): string[] {
  const base = '/sys/fs/cgroup'
  const paths = [base, ...readdirSync(base).map((name) => join(base, name))]
  return paths.map((path) => join(path, 'dray', id)).filter((path) => existsSync(path))
}

/** Processes other than this one whose command line names a path of the playground. */
function processesNaming(path: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
        return line.includes(path) ? [`${pid} ${line}`] : []
      } catch {
        return []
      }
    })
}
