import { randomBytes } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { DrayError, isErrno } from '#oci/error.ts'
import { parseJson } from '#oci/json.ts'
import { check } from '#oci/schema.ts'
import { type ContainerPaths, containerPaths } from './layout.ts'
import { tryLock } from './sys.ts'

/** What is written down before anything of a container is started: enough to remove it without its owner. */
export interface ContainerRecord {
  readonly version: 1
  readonly id: string
  readonly createdAt: string
  readonly ownerPid: number
  readonly manifestDigest: string
  /** The OCI runtime's program and its state directory (`--root`). */
  readonly runtime: string
  readonly runtimeRoot: string
}

const RECORD_LIMIT = 64 * 1024
const ATTEMPTS = 16

const schema = z.object({
  version: z.literal(1),
  id: z.string(),
  createdAt: z.string(),
  ownerPid: z.number(),
  manifestDigest: z.string(),
  runtime: z.string(),
  runtimeRoot: z.string(),
})

/** A container's directory, ours alone until {@link Claim.release} or the end of this process, however it ends. */
export interface Claim {
  readonly id: string
  readonly paths: ContainerPaths
  release(): void
}

/** Makes the directory of a new container. Whoever cleans up at the same time leaves it alone. */
export async function claimNew(containers: string): Promise<Claim> {
  await mkdir(containers, { recursive: true, mode: 0o700 })
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const id = randomBytes(32).toString('hex')
    await mkdir(containerPaths(containers, id).dir, { mode: 0o700 })
    // Before the lock is held, another process may take the directory for an abandoned one.
    const claim = claimExisting(containers, id)
    if (claim !== undefined) return claim
  }
  throw new DrayError('RUN_FAILED', `cannot lock a new directory in ${containers}: try again`)
}

/** Undefined when somebody else holds the container, or removed it. */
export function claimExisting(containers: string, id: string): Claim | undefined {
  const paths = containerPaths(containers, id)
  const fd = openLock(paths.lock)
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

/** Replaces the record at once, or not at all. It needs no fsync: after a power cut nothing is left to kill or unmount. */
export async function writeRecord(paths: ContainerPaths, record: ContainerRecord): Promise<void> {
  const temporary = `${paths.record}.new`
  await writeFile(temporary, `${JSON.stringify(record, undefined, 2)}\n`, { mode: 0o600 })
  await rename(temporary, paths.record)
}

/** Undefined when there is none, or none that can be read: then the container was never started, or not since the last boot. */
export async function readRecord(paths: ContainerPaths): Promise<ContainerRecord | undefined> {
  try {
    const bytes = await readFile(paths.record)
    const value = parseJson(bytes, { code: 'STORE_FAILED', maxBytes: RECORD_LIMIT })
    return check(schema, value, 'container record', 'STORE_FAILED')
  } catch (error) {
    if (isErrno(error, 'ENOENT') || error instanceof DrayError) return undefined
    throw error
  }
}

function openLock(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
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
