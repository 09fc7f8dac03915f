import { connect as connectPlain, isIP, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type HttpProxy, portOf } from '../proxy/find-proxy.ts'
import { bareHost } from '../proxy/no-proxy.ts'
import { openTunnel } from '../proxy/tunnel.ts'
import type { Certificates } from './certificates.ts'

/** Read at a time from a connection, into the same memory again and again. */
const READ_SIZE = 256 * 1024

export interface DialOptions {
  readonly certificates?: Certificates | undefined
  readonly proxy?: HttpProxy | undefined
}

/**
 * Connects to where a URL is, or to the proxy for it, which TLS goes through unread.
 *
 * @param receive gets the bytes, valid during the call; false pauses the socket
 * @throws REGISTRY_UNREACHABLE when the proxy doesn't connect
 */
export async function dial(
  url: URL,
  { certificates, proxy }: DialOptions,
  receive: (bytes: Buffer) => boolean,
): Promise<Socket> {
  const isTls = url.protocol === 'https:'
  const host = bareHost(url.hostname)
  const buffer = Buffer.allocUnsafeSlow(READ_SIZE)
  const onread: OnReadOpts = {
    buffer,
    callback: (length) => receive(buffer.subarray(0, length)),
  }
  const tls = { ...certificates, host, ...nameOf(host) } as object
  if (isTls && proxy !== undefined) {
    const tunnel = await openTunnel(proxy, host, portOf(url))
    // Over a socket that there is already Node reads into memory of its own.
    const socket = connectTls({ ...tls, socket: tunnel as Socket })
    socket.on('data', (bytes) => {
      if (!receive(bytes)) socket.pause()
    })
    return socket
  }
  if (isTls) return connectTls({ ...tls, port: portOf(url), onread } as object)
  const at = proxy?.url ?? url
  const name = bareHost(at.hostname)
  if (at.protocol === 'https:') {
    return connectTls({ host: name, ...nameOf(name), port: portOf(at), onread } as object)
  }
  return connectPlain({ host: name, port: portOf(at), onread })
}

/** For the server to choose a certificate by: a name, never an address (RFC 6066, section 3). */
function nameOf(host: string): { servername?: string } {
  return isIP(host) === 0 ? { servername: host } : {}
}
