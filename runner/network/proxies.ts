import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { DrayError } from '#oci/error.ts'
import { readCgroups } from '../cgroup.ts'
import { moveToMonitors } from '../monitor/own-cgroup.ts'
import { findPrograms, killAndWait } from '../processes.ts'
import { findRuntime } from '../runtime.ts'
import { keepDescriptorsPrivate } from '../sys.ts'
import type { Link, PortMapping } from './model.ts'
import { formatPort } from './ports.ts'

const PROGRAM = 'socat'
/** A connection of which one side has ended waits for the other. */
const HALF_OPEN_SECONDS = 24 * 60 * 60
/** A client of UDP that was silent for so long is forgotten. */
const UDP_SECONDS = 60
/** Each is a process of its own. */
const CONNECTIONS_LIMIT = 1000
const LISTENS_WITHIN_MS = 10_000
const POLL_MS = 5

/**
 * Has processes listen on the host, one for each address and port, which copy what comes to a container. They stay when this process
 * has ended, until {@link endProxies}.
 *
 * @throws NETWORK_FAILED
 */
export async function startProxies(
  id: string,
  ports: readonly PortMapping[],
  link: Pick<Link, 'address' | 'address6'>,
  searchPath: string | undefined,
): Promise<void> {
  if (ports.length === 0) return
  const found = findRuntime(PROGRAM, searchPath)
  if (found === undefined) {
    const message = `socat, which publishes ${ports.map(formatPort).join(', ')} so that the host's rules for input decide, is not installed: apt-get install socat, or let the kernel lead past those rules with --publish-by kernel`
    throw new DrayError('NETWORK_FAILED', message)
  }
  for (const port of ports) {
    for (const address of addressesOf(port, link)) {
      await start(found.path, proxyArguments(id, port, address, link.address), port)
    }
  }
}

/** Ends the processes that listen for a container, and the connections that they have. */
export async function endProxies(id: string): Promise<void> {
  for (const pid of await findPrograms([PROGRAM], tagOf(id))) await killAndWait(pid)
}

/** Arguments of socat(1). Pure. */
export function proxyArguments(
  id: string,
  { hostPort, containerPort, protocol }: PortMapping,
  listenAt: string,
  address: string,
): string[] {
  const [own, at] = isIPv6(listenAt) ? ['6', `[${listenAt}],ipv6only=1`] : ['4', listenAt]
  const name = protocol.toUpperCase()
  const more = `bind=${at},reuseaddr,fork,max-children=${CONNECTIONS_LIMIT}`
  const [seconds, keepAlive] = protocol === 'tcp' ? [HALF_OPEN_SECONDS, ',keepalive'] : [1, '']
  return [
    ...['-lp', tagOf(id), '-t', String(seconds)],
    ...(protocol === 'udp' ? ['-T', String(UDP_SECONDS)] : []),
    `${name}${own}-LISTEN:${hostPort},${more}${keepAlive}`,
    `${name}4:${address}:${containerPort}`,
  ]
}

/** By which the processes of a container are found. */
function tagOf(id: string): string {
  return `dray-${id}`
}

function addressesOf({ hostIp }: PortMapping, { address6 }: Pick<Link, 'address6'>): string[] {
  if (hostIp !== undefined) return [hostIp]
  return address6 === undefined ? ['0.0.0.0'] : ['0.0.0.0', '::']
}

async function start(program: string, args: readonly string[], port: PortMapping): Promise<void> {
  keepDescriptorsPrivate()
  const child = spawn(program, [...args], {
    cwd: '/',
    detached: true,
    env: {},
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const failed = once(child, 'error').then(([error]) => {
    throw new DrayError('NETWORK_FAILED', `cannot start ${program}: ${error.message}`)
  })
  let said = ''
  child.stderr?.on('data', (piece) => {
    said += String(piece)
  })
  if (child.pid !== undefined) moveToMonitors(child.pid, await readCgroups())
  const listens = await Promise.race([comesToListen(child), failed])
  // Nobody reads what it says of single connections later.
  child.stderr?.destroy()
  child.unref()
  if (listens) return
  const message = `cannot publish ${formatPort(port)}: ${said.trim() || 'socat does not listen'}`
  throw new DrayError('NETWORK_FAILED', message)
}

async function comesToListen(child: ChildProcess): Promise<boolean> {
  const deadline = performance.now() + LISTENS_WITHIN_MS
  while (child.exitCode === null && child.signalCode === null && performance.now() < deadline) {
    if (child.pid !== undefined && isListening(child.pid)) return true
    await delay(POLL_MS)
  }
  child.kill('SIGKILL')
  return false
}

/** The kernel lists a socket of a process once it is bound, and of TCP once it listens. */
function isListening(pid: number): boolean {
  const own = socketsOf(pid)
  if (own.length === 0) return false
  const lines = ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((table) => readLines(`/proc/net/${table}`))
  return lines.some((line) => own.includes(line.trim().split(/\s+/)[9] ?? ''))
}

function socketsOf(pid: number): string[] {
  try {
    const names = readdirSync(`/proc/${pid}/fd`)
    const files = names.map((name) => readlinkSync(`/proc/${pid}/fd/${name}`))
    return files.flatMap((file) => /^socket:\[(\d+)\]$/.exec(file)?.[1] ?? [])
  } catch {
    return []
  }
}

/** Without IPv6, its tables aren't there. */
function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'latin1').split('\n')
  } catch {
    return []
  }
}
