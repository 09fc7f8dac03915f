import { DrayError } from '#oci/error.ts'
import type { Context } from './context.ts'

const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$/

/** Where a client reaches the registry, as it says itself. @throws REQUEST_INVALID */
export function publicUrl(ctx: Context): string {
  if (!HOST.test(ctx.host)) throw new DrayError('REQUEST_INVALID', 'the header Host is not valid')
  return `${ctx.protocol}://${ctx.host}`
}
