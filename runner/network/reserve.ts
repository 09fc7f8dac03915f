import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { DrayError } from '#oci/error.ts'
import type { PortMapping } from './model.ts'

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

/** Takes ports of the host. @throws PORT_TAKEN */
export async function reservePorts(wanted: readonly PortMapping[]): Promise<Reservation> {
  const held: Held[] = []
  const ports: PortMapping[] = []
  try {
    for (const mapping of wanted) {
      const one = mapping.protocol === 'tcp' ? await holdTcp(mapping) : await holdUdp(mapping)
      held.push(one)
      ports.push({ ...mapping, hostPort: one.port })
    }
  } catch (error) {
    for (const { close } of held) close()
    throw error
  }
  return {
    ports,
    descriptors: held.map(({ fd }) => fd).filter((fd) => fd >= 0),
    release: () => {
      for (const { close } of held) close()
    },
  }
}

async function holdTcp(mapping: PortMapping): Promise<Held> {
  const server = createServer((socket) => socket.destroy())
  const listening = once(server, 'listening')
  server.listen({ port: mapping.hostPort, host: mapping.hostIp ?? '0.0.0.0', exclusive: true })
  await listening.catch((cause) => {
    throw taken(mapping, cause)
  })
  server.unref()
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : mapping.hostPort
  return { port, fd: descriptorOf(server), close: () => server.close() }
}

async function holdUdp(mapping: PortMapping): Promise<Held> {
  const socket = createSocket('udp4')
  const listening = once(socket, 'listening')
  socket.bind({ port: mapping.hostPort, address: mapping.hostIp ?? '0.0.0.0', exclusive: true })
  await listening.catch((cause) => {
    throw taken(mapping, cause)
  })
  socket.unref()
  return { port: socket.address().port, fd: descriptorOf(socket), close: () => socket.close() }
}

/** Node has no public way to a socket's number. Without it, the port is ours until this process ends. */
function descriptorOf(server: object): number {
  const handle: unknown = Reflect.get(server, '_handle')
  const fd: unknown = typeof handle === 'object' && handle !== null && Reflect.get(handle, 'fd')
  return typeof fd === 'number' ? fd : -1
}

function taken({ hostIp, hostPort, protocol }: PortMapping, cause: unknown): DrayError {
  const port = `${protocol} port ${hostPort}${hostIp === undefined ? '' : ` of ${hostIp}`}`
  const message = `cannot publish ${port}: something else listens there (ss -lntup tells what)`
  return new DrayError('PORT_TAKEN', message, { cause })
}
