import { type ClientRequest, type RequestOptions, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { absoluteForm, type FindProxy, type HttpProxy } from './find-proxy.ts'
import { TunnelAgent } from './tunnel.ts'

/** Starts a request through the proxy of its URL; undefined when there is none, for the caller to start it. */
export type RequestThroughProxy = (url: URL, options: object) => ClientRequest | undefined

/** TLS goes through the proxy unread; without it, the proxy asks on our behalf. */
export function requestThrough(find: FindProxy): RequestThroughProxy {
  const agents = new Map<string, TunnelAgent>()
  const agentFor = (proxy: HttpProxy) => {
    const agent = agents.get(proxy.url.href) ?? new TunnelAgent(proxy)
    agents.set(proxy.url.href, agent)
    return agent
  }
  return (url, options: RequestOptions) => {
    const proxy = find(url)
    if (proxy === undefined) return undefined
    if (url.protocol === 'https:') return requestTls(url, { ...options, agent: agentFor(proxy) })
    const start = proxy.url.protocol === 'https:' ? requestTls : requestPlain
    return start(proxy.url, {
      ...options,
      path: absoluteForm(url),
      headers: { ...(options.headers as object), host: url.host, ...proxy.headers },
    })
  }
}
