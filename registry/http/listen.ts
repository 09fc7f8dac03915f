import type { Server } from 'node:http'
import { DrayError, isErrno } from '#oci/error.ts'
import type { ListenAddress } from '../config.ts'

/** @throws CONFIG_INVALID when the address can't be listened on */
export function listen(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, host, port)))
    server.listen({ host, port }, resolve)
  })
}

/** A host as it stands in a URL. */
export function hostOfUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function listenError(error: Error, host: string, port: number): unknown {
  const why = isErrno(error, 'EADDRINUSE')
    ? 'another program listens there: stop it, or choose another port'
    : isErrno(error, 'EADDRNOTAVAIL', 'ENOTFOUND')
      ? 'this machine has no such address'
      : isErrno(error, 'EACCES')
        ? 'ports below 1024 need root'
        : error.message
  return new DrayError('CONFIG_INVALID', `cannot listen on ${hostOfUrl(host)}:${port}: ${why}`, {
    cause: error,
  })
}
