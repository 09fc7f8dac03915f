import { DrayError } from '#oci/error.ts'
import type { Context } from './context.ts'
import { peerOf } from './peer.ts'

const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$/

/** Where a client reaches the registry, as it says itself. @throws REQUEST_INVALID */
export function publicUrl(ctx: Context): string {
  const { scheme, host } = peerOf(ctx)
  if (!HOST.test(host)) throw new DrayError('REQUEST_INVALID', 'the header Host is not valid')
  return `${scheme}://${host}`
}
