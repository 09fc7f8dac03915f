import { DrayError } from '#oci/error.ts'
import { basicAuthorization } from '../credentials/credential.ts'
import { isLoopback } from '../registry/endpoint.ts'
import { bareHost, parseNoProxy } from './no-proxy.ts'

/** A proxy for HTTP. */
export interface HttpProxy {
  /** `http:` or `https:`, without credentials. */
  readonly url: URL
  /** What it is shown. */
  readonly headers: Readonly<Record<string, string>>
}

/** The proxy by which a URL is reached, undefined when there is none. @throws CONFIG_INVALID */
export type FindProxy = (url: URL) => HttpProxy | undefined

/**
 * The proxies that `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name, or their names in lower case. This machine itself is never
 * reached by one.
 */
export function proxyFinder(env: Readonly<Record<string, string | undefined>>): FindProxy {
  const isExempt = parseNoProxy(env.NO_PROXY || env.no_proxy || '')
  return (url) => {
    const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'
    const text = env[name] || env[name.toLowerCase()]
    if (!text || isLoopback(url.hostname)) return undefined
    return isExempt(bareHost(url.hostname), portOf(url)) ? undefined : parseProxy(name, text)
  }
}

/** The port of a URL, named or not. */
export function portOf(url: URL): number {
  return Number(url.port || (url.protocol === 'https:' ? 443 : 80))
}

function parseProxy(name: string, text: string): HttpProxy {
  const full = text.includes('://') ? text : `http://${text}`
  const url = URL.canParse(full) ? new URL(full) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    // It may hold a password, and is not quoted.
    throw new DrayError(
      'CONFIG_INVALID',
      `${name} names no proxy that can be used: write http://[user:password@]host[:port]`,
    )
  }
  const { username, password } = url
  const authorization = basicAuthorization(
    decodeURIComponent(username),
    decodeURIComponent(password),
  )
  return {
    url: new URL(url.origin),
    headers: username === '' ? {} : { 'proxy-authorization': authorization },
  }
}

/** A URL as a proxy is asked for it (RFC 9112, section 3.2.2). */
export function absoluteForm(url: URL): string {
  return `${url.origin}${url.pathname}${url.search}`
}
