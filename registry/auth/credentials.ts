/** What an `Authorization` header holds (RFC 9110, section 11.6.2). */
export type Credentials =
  | { readonly scheme: 'basic'; readonly user: string; readonly password: string }
  | { readonly scheme: 'bearer'; readonly token: string }

const BASIC = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i
const BEARER = /^bearer +([A-Za-z0-9._~+/=-]+) *$/i

/** Undefined for what isn't understood. */
export function parseCredentials(header: string): Credentials | undefined {
  const token = BEARER.exec(header)?.[1]
  if (token !== undefined) return { scheme: 'bearer', token }
  const encoded = BASIC.exec(header)?.[1]
  if (encoded === undefined) return undefined
  const pair = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  if (colon < 0 || pair.includes('\0')) return undefined
  return { scheme: 'basic', user: pair.slice(0, colon), password: pair.slice(colon + 1) }
}
