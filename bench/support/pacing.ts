/**
 * Loaded into a server ahead of its program (`node --import`), has the kernel send at most PACE bytes a second on each of its
 * connections. That takes no CPU, which a proxy would take from those that are measured.
 */
import { Server, type Socket } from 'node:net'
import koffi from 'koffi'

const SOL_SOCKET = 1
const SO_MAX_PACING_RATE = 47

const setsockopt = koffi
  .load('libc.so.6')
  .func('int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)')
const rate = Buffer.alloc(8)
rate.writeBigUInt64LE(BigInt(process.env.PACE ?? ''))

const { emit } = Server.prototype
Server.prototype.emit = function (this: Server, ...args: unknown[]): boolean {
  if (args[0] === 'connection') pace(args[1] as Socket)
  return Reflect.apply(emit, this, args)
}

function pace(socket: Socket): void {
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle
  if (setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, rate, rate.length) !== 0) {
    throw new Error('the kernel does not pace connections')
  }
}
