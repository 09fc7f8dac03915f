import * as z from 'zod'

export interface ListenAddress {
  /** A host name or address, without brackets. */
  readonly host: string
  /** 0 for one that is free. */
  readonly port: number
}

const ADDRESS = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):([0-9]{1,5})$/

/** `host:port`, with brackets around addresses of IPv6. */
export const address = z.string().transform((text, context): ListenAddress => {
  const [, bracketed, plain, port] = ADDRESS.exec(text) ?? []
  const host = bracketed ?? plain
  if (host !== undefined && Number(port) <= 65_535) return { host, port: Number(port) }
  const message = `must be host:port, such as 127.0.0.1:5000 or [::]:5000, not ${JSON.stringify(text)}`
  context.addIssue({ code: 'custom', message })
  return z.NEVER
})
