import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, isIPv6 } from 'node:net'
import { DrayError, isDrayError, isErrno } from '#oci/error.ts'
import type { PortMapping } from './model.ts'
import { formatHostPort } from './ports.ts'

/** Ports of the host that are ours: somebody else who wants one is told that it is taken. */
export interface Reservation {
  /** The ports, those that were free to choose filled in. */
  readonly ports: readonly PortMapping[]
  /** Descriptors that keep them, for whoever is to hold them as long as the container runs. */
  readonly descriptors: readonly number[]
  release(): void
}

interface Held {
  readonly port: number
  readonly fd: number
  close(): void
}

/**
 * Takes ports of the host. Those that a process is to listen at are found free, and left to it.
 *
 * @param options.has6 whether all addresses are those of IPv6 too
 * @throws PORT_TAKEN; USAGE for an address of IPv6 without it
 */
export async function reservePorts(
  wanted: readonly PortMapping[],
  { has6 = false } = {},
): Promise<Reservation> {
  const held: Held[] = []
  const left: Held[] = []
  const ports: PortMapping[] = []
  try {
    for (const mapping of wanted) {
      const { isProxied = false } = mapping
      if (!has6 && !isProxied && isIPv6(mapping.hostIp ?? '')) throw no6(mapping)
      const { port, ones } = await holdFirstFree(mapping, has6 && mapping.hostIp === undefined)
      const kept = isProxied ? left : held
      kept.push(...ones)
      ports.push(port)
    }
  } catch (error) {
    for (const { close } of held) close()
    throw error
  } finally {
    for (const { close } of left) close()
  }
  return {
    ports,
    descriptors: held.map(({ fd }) => fd).filter((fd) => fd >= 0),
    release: () => {
      for (const { close } of held) close()
    },
  }
}

interface Taken {
  readonly port: PortMapping
  readonly ones: readonly Held[]
}

/** Of a range, one port after the other is tried. @param asWell whether it has to be free in IPv6 too */
async function holdFirstFree(mapping: PortMapping, asWell: boolean): Promise<Taken> {
  const { hostPortEnd, ...first } = mapping
  for (let { hostPort } = first; ; hostPort++) {
    try {
      return await holdAll({ ...first, hostPort }, asWell)
    } catch (error) {
      if (hostPortEnd === undefined || !isDrayError(error, 'PORT_TAKEN')) throw error
      if (hostPort >= hostPortEnd) throw taken(mapping, error.cause)
    }
  }
}

async function holdAll(mapping: PortMapping, asWell: boolean): Promise<Taken> {
  const one = await hold(mapping)
  const port = { ...mapping, hostPort: one.port }
  if (!asWell) return { port, ones: [one] }
  try {
    return { port, ones: [one, await hold({ ...port, hostIp: '::' })] }
  } catch (error) {
    one.close()
    throw error
  }
}

async function hold(mapping: PortMapping): Promise<Held> {
  return mapping.protocol === 'tcp' ? await holdTcp(mapping) : await holdUdp(mapping)
}

function no6({ hostIp }: PortMapping): DrayError {
  const advice = 'make one with dray network create --ipv6'
  return new DrayError(
    'USAGE',
    `${hostIp} is of IPv6, which no network of the container has: ${advice}`,
  )
}

async function holdTcp(mapping: PortMapping): Promise<Held> {
  const server = createServer((socket) => socket.destroy())
  const listening = once(server, 'listening')
  const { hostPort: port, hostIp: host = '0.0.0.0' } = mapping
  server.listen({ port, host, exclusive: true, ipv6Only: true })
  await listening.catch((cause) => {
    throw taken(mapping, cause)
  })
  server.unref()
  const address = server.address()
  const held = typeof address === 'object' && address !== null ? address.port : port
  return { port: held, fd: descriptorOf(server), close: () => server.close() }
}

async function holdUdp(mapping: PortMapping): Promise<Held> {
  const socket = createSocket(
    isIPv6(mapping.hostIp ?? '') ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' },
  )
  const listening = once(socket, 'listening')
  socket.bind({ port: mapping.hostPort, address: mapping.hostIp ?? '0.0.0.0', exclusive: true })
  await listening.catch((cause) => {
    throw taken(mapping, cause)
  })
  socket.unref()
  return {
    port: socket.address().port,
    fd: datagramDescriptorOf(socket),
    close: () => socket.close(),
  }
}

/** Node has no public way to a socket's number. Without it, the port is ours until this process ends. */
function descriptorOf(server: object): number {
  return descriptorIn(Reflect.get(server, '_handle'))
}

/** That of a datagram socket is in its state: asking for its `_handle` is warned of. */
function datagramDescriptorOf(socket: object): number {
  const key = Object.getOwnPropertySymbols(socket).find(
    ({ description }) => description === 'state symbol',
  )
  const state: unknown = key && Reflect.get(socket, key)
  return typeof state === 'object' && state !== null
    ? descriptorIn(Reflect.get(state, 'handle'))
    : -1
}

function descriptorIn(handle: unknown): number {
  const fd: unknown = typeof handle === 'object' && handle !== null && Reflect.get(handle, 'fd')
  return typeof fd === 'number' ? fd : -1
}

function taken({ hostIp, protocol, ...range }: PortMapping, cause: unknown): DrayError {
  const what = range.hostPortEnd === undefined ? 'port' : 'one of the ports'
  const port = `${protocol} ${what} ${formatHostPort(range)}${hostIp === undefined ? '' : ` of ${hostIp}`}`
  if (isErrno(cause, 'EACCES')) {
    const first = readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'latin1').trim()
    const message = `cannot publish ${port}: ports below ${first} are root's (sysctl net.ipv4.ip_unprivileged_port_start)`
    return new DrayError('PORT_TAKEN', message, { cause })
  }
  const where = range.hostPortEnd === undefined ? 'there' : 'at each'
  const message = `cannot publish ${port}: something else listens ${where} (ss -lntup tells what)`
  return new DrayError('PORT_TAKEN', message, { cause })
}
