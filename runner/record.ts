import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import * as z from 'zod'
import { DrayError, isErrno } from '#oci/error.ts'
import { parseJson } from '#oci/json.ts'
import type { Rootfs } from '#oci/rootfs.ts'
import { check } from '#oci/schema.ts'
import { syncPath } from '#oci/sync-path.ts'
import { type ContainerPaths, containerPaths } from './layout.ts'
import type { ContainerOptions } from './options.ts'
import { monotonicMs } from './processes.ts'
import { tryLock } from './sys.ts'

/**
 * What is written down of a container before anything of it is started: who it is, how it is run, and enough to remove
 * it without its owner. Whether it runs is never read from here alone: `state.ts` asks the kernel too.
 */
export interface ContainerRecord {
  readonly version: 2
  readonly id: string
  readonly name: string
  readonly createdAt: string
  /** The image as it was asked for. */
  readonly image: string
  readonly rootfs: Rootfs
  readonly options: ContainerOptions
  /** The OCI runtime's program and its state directory (`--root`). */
  readonly runtime: string
  readonly runtimeRoot: string
  /**
   * Who sees the container's end. `owner`: the process that made it, which holds the lock as long as the container lives and
   * then removes it. `monitor`: conmon.
   */
  readonly keeper: 'owner' | 'monitor'
  readonly phase: Phase
}

/** How far a container has come. With `owner` it stays at `starting`. */
export type Phase =
  | { readonly name: 'created'; readonly error?: string | undefined }
  | {
      readonly name: 'starting'
      readonly bootId: string
      readonly startedAt: string
      /** What it goes back to when the start is cut off: to be started after a boot, for one. */
      readonly before?: Ended | undefined
    }
  | ({ readonly name: 'started' } & Run)
  | Ended

type Ended = { readonly name: 'ended' } & Run & RunEnd

/** One run of a container that has a monitor. */
export interface Run {
  readonly startedAt: string
  /** Of the container's first process, in the host's numbers, and when it was started, in ticks since the boot. */
  readonly pid: number
  readonly ticks: string
  /** Which boot of the host the numbers belong to. */
  readonly bootId: string
  readonly monitorPid: number
  /** How often it was restarted without being asked. */
  readonly restarts: number
  /** Whether somebody asked it to stop, so that no policy starts it again. */
  readonly stopRequested?: boolean | undefined
  /** Whether it was stopped because the host goes down, so that no policy starts it again before the next boot. */
  readonly isHalted?: boolean | undefined
}

/** How a run ended. */
export interface RunEnd {
  /** Absent when nobody saw it. */
  readonly exitCode?: number | undefined
  readonly finishedAt: string
  readonly oomKilled: boolean
}

// An image config has up to 4 MiB.
const RECORD_LIMIT = 8 * 1024 * 1024
const ATTEMPTS = 16
const POLL_MS = 10

const syncFile = promisify(fsync)

/** The rest was written by this program, where only root may write. */
const schema = z.looseObject({
  version: z.literal(2),
  id: z.string(),
  name: z.string(),
  keeper: z.enum(['owner', 'monitor']),
  phase: z.looseObject({ name: z.enum(['created', 'starting', 'started', 'ended']) }),
})

/** A container's directory, ours alone until {@link Claim.release} or the end of this process, however it ends. */
export interface Claim {
  readonly id: string
  readonly paths: ContainerPaths
  release(): void
}

/** Makes the directory of a new container. Whoever cleans up at the same time leaves it alone. */
export function claimNew(containers: string): Claim {
  mkdirSync(containers, { recursive: true, mode: 0o700 })
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const id = randomBytes(32).toString('hex')
    mkdirSync(containerPaths(containers, id).dir, { mode: 0o700 })
    // Before the lock is held, another process may take the directory for an abandoned one.
    const claim = claimExisting(containers, id, { abandoned: true })
    if (claim !== undefined) return claim
  }
  throw new DrayError('RUN_FAILED', `cannot lock a new directory in ${containers}: try again`)
}

/**
 * Undefined when somebody else holds the container, or removed it.
 *
 * @param options.abandoned also takes a directory without a lock, which whoever made it, or removed it, left so
 */
export function claimExisting(
  containers: string,
  id: string,
  { abandoned = false } = {},
): Claim | undefined {
  const paths = containerPaths(containers, id)
  const fd = openLock(paths.lock, abandoned ? constants.O_CREAT : 0)
  if (fd === undefined) return undefined
  try {
    if (tryLock(fd) && isSameFile(fd, paths.lock)) {
      return { id, paths, release: () => closeSync(fd) }
    }
  } catch (error) {
    closeSync(fd)
    throw error
  }
  closeSync(fd)
  return undefined
}

/** {@link claimExisting}, waiting for whoever holds the container, as long as `withinMs`. */
export async function claimSoon(
  containers: string,
  id: string,
  withinMs: number,
): Promise<Claim | undefined> {
  const deadline = monotonicMs() + withinMs
  for (;;) {
    const claim = claimExisting(containers, id)
    if (claim !== undefined || monotonicMs() > deadline) return claim
    if (!existsSync(containerPaths(containers, id).dir)) return undefined
    await delay(POLL_MS)
  }
}

/**
 * Replaces the record at once, or not at all. `durable` is for containers that outlive a power cut; of others nothing is
 * left then but the directory. Where nobody is told of a change, it need not `last`: a power cut may bring back what was before.
 */
export async function writeRecord(
  paths: ContainerPaths,
  record: ContainerRecord,
  {
    durable = record.keeper === 'monitor' && !record.options.autoRemove,
    lasts = durable,
  }: { readonly durable?: boolean; readonly lasts?: boolean } = {},
): Promise<void> {
  const temporary = `${paths.record}.new`
  const text = `${JSON.stringify(record, undefined, 2)}\n`
  const file = openSync(temporary, 'w', 0o600)
  try {
    writeFileSync(file, text)
    if (durable) await syncFile(file) // which may take long
  } finally {
    closeSync(file)
  }
  renameSync(temporary, paths.record)
  if (lasts) await syncPath(paths.dir)
}

/**
 * Undefined when there is none, or an empty one, as a power cut leaves it: then the container was never started since.
 *
 * @throws STORE_FAILED for one that can't be read, such as that of a newer version
 */
export function readRecord(paths: ContainerPaths): ContainerRecord | undefined {
  const bytes = readIfThere(paths.record)
  if (bytes === undefined || bytes.length === 0) return undefined
  const value = parseJson(bytes, { code: 'STORE_FAILED', maxBytes: RECORD_LIMIT })
  return check(schema, value, 'container record', 'STORE_FAILED') as unknown as ContainerRecord
}

/**
 * Whether there is a record that says that a monitor keeps the container: all that most commands ask of most records. Only the
 * form that {@link writeRecord} gives them is understood.
 */
export function isMonitored(paths: ContainerPaths): boolean {
  return readIfThere(paths.record)?.includes('\n  "keeper": "monitor"') ?? false
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

function openLock(path: string, flags: number): number | undefined {
  try {
    return openSync(path, constants.O_RDWR | flags, 0o600)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

/** False when the file was removed after it was opened. */
function isSameFile(fd: number, path: string): boolean {
  const [held, named] = [fstatSync(fd), statSync(path, { throwIfNoEntry: false })]
  return named !== undefined && held.ino === named.ino && held.dev === named.dev
}
