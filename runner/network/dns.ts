import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DrayError } from '#oci/error.ts'
import { DEFAULT_STATE_DIR } from '../layout.ts'
import { findPrograms, hasWord, killAndWait, sendSignal } from '../processes.ts'
import { findRuntime } from '../runtime.ts'
import { isLostOnProcess } from '../signals.ts'
import { connectionsOn } from './connections.ts'
import type { NetworkRecord } from './model.ts'

/** Where aardvark-dns looks for names, for all stores of the host. It takes every file there for a network's. */
const DIR = join(DEFAULT_STATE_DIR, 'dns')
const TEMPORARY = `${DIR}.new`
const NAME = 'aardvark-dns'
const PLACES = [NAME, `/usr/lib/podman/${NAME}`, `/usr/libexec/podman/${NAME}`]
const PID_FILE = 'aardvark.pid'
const PORT = 53
const STARTED_WITHIN_MS = 2000
/** On a host that is busy. */
const SLOW_START_MS = 30_000

/** The domain that aardvark-dns answers for; names without it are found as well. */
export const SEARCH_DOMAIN = 'dns.podman'

/**
 * Tells the name server which containers are on a network now, starting it for the first and ending it with the last.
 * Nobody else may do so at the same time.
 *
 * @throws NETWORK_FAILED when it isn't installed
 */
export async function publishNames(
  root: string,
  network: NetworkRecord,
  searchPath: string | undefined,
): Promise<void> {
  if (!network.hasNames) return
  mkdirSync(DIR, { recursive: true, mode: 0o700 })
  const lines = connectionsOn(root, network).map(
    ({ id, link }) => `${id} ${link.address} ${link.address6 ?? ''} ${link.names.join(',')}`,
  )
  const path = join(DIR, network.interface)
  if (lines.length === 0) rmSync(path, { force: true })
  else replaceNames(path, `${[network.gateway, ...lines].join('\n')}\n`)
  const isWanted = readdirSync(DIR).some((name) => name !== PID_FILE)
  if (!isWanted) return await endServer()
  const isTold = await tellServer()
  if (!isTold || (lines.length === 0 && !(await survives(network)))) await startServer(searchPath)
}

/** Waits until the server has taken in that a network is gone. It ends when a file goes that it was about to read. */
async function survives({ gateway }: NetworkRecord): Promise<boolean> {
  const deadline = performance.now() + STARTED_WITHIN_MS
  while (isListenedAt(gateway) && performance.now() < deadline) await delay(5)
  return serverPid() !== undefined
}

/** The kernel lists addresses as numbers, in the order of bytes that the host has. */
function isListenedAt(address: string): boolean {
  const [number = 0] = new Uint32Array(Uint8Array.from(address.split('.').map(Number)).buffer)
  const port = PORT.toString(16).padStart(4, '0')
  const local = `${number.toString(16).padStart(8, '0')}:${port} `.toUpperCase()
  return readFileSync('/proc/net/udp', 'latin1').includes(local)
}

/** The server may be reading, and ends at half a file, wherever in its directory that is. */
function replaceNames(path: string, text: string): void {
  writeFileSync(TEMPORARY, text, { mode: 0o600 })
  renameSync(TEMPORARY, path)
}

/** It would end by itself, but who comes next could take it for one that goes on. */
async function endServer(): Promise<void> {
  const pid = serverPid()
  if (pid === undefined) return
  sendSignal(pid, 'SIGTERM')
  const deadline = performance.now() + STARTED_WITHIN_MS
  while (serverPid() !== undefined && performance.now() < deadline) await delay(5)
}

/** Has the server read its directory again. @returns whether there is one */
async function tellServer(): Promise<boolean> {
  await untilItHears()
  const pid = serverPid()
  if (pid !== undefined) sendSignal(pid, 'SIGHUP')
  return pid !== undefined
}

/** It says its number before it listens to signals, which would end it until then. */
async function untilItHears(): Promise<void> {
  const deadline = performance.now() + SLOW_START_MS
  while (isLostOnProcess('SIGHUP', serverPid() ?? 0) && performance.now() < deadline) await delay(5)
}

function serverPid(): number | undefined {
  try {
    const pid = Number(readFileSync(join(DIR, PID_FILE), 'latin1'))
    return pid > 1 && hasWord(pid, DIR) ? pid : undefined
  } catch {
    return undefined
  }
}

/**
 * Starts the server and waits until it can be told what changes. One that nobody can tell would go on for ever, at addresses that
 * the next one needs.
 */
async function startServer(searchPath: string | undefined): Promise<void> {
  const program = findServer(searchPath)
  // Whoever started it was killed before it was ready.
  for (const pid of await findPrograms([NAME], DIR)) await killAndWait(pid)
  const child = spawn(program, ['--config', DIR, '-p', String(PORT), 'run'], {
    stdio: 'ignore',
    detached: true,
    cwd: '/',
  })
  child.on('error', () => undefined)
  child.unref()
  const isStarting = () => child.exitCode === null && child.signalCode === null
  const started = performance.now()
  while (serverPid() === undefined) {
    const took = performance.now() - started
    if (took > (isStarting() ? SLOW_START_MS : STARTED_WITHIN_MS)) break
    await delay(5)
  }
  if (serverPid() === undefined) child.kill('SIGKILL')
  await untilItHears()
}

function findServer(searchPath: string | undefined): string {
  for (const place of PLACES) {
    const found = findRuntime(place, searchPath)
    if (found !== undefined) return found.path
  }
  throw new DrayError(
    'NETWORK_FAILED',
    'aardvark-dns, by which containers find one another, is not installed: apt-get install aardvark-dns, or make the network with --disable-dns',
  )
}
