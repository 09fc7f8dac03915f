import { finished } from 'node:stream/promises'
import pLimit from 'p-limit'
import type { HttpResponse } from './http.ts'

/** How much of a host may be used. */
export interface HostLimits {
  /** Requests under way at once, at the most. */
  readonly maxConnections?: number | undefined
  /** Bytes per second. */
  readonly limitRate?: number | undefined
}

/** Limits of a registry (`host[:port]`); undefined when nothing is said of it. */
export type FindLimits = (registry: string) => HostLimits | undefined

/** A host that a repository is on, and how much of it may be used, wherever it sends requests on to. */
export interface RemoteHost extends HostLimits {
  /** `host[:port]` */
  readonly name: string
  /** Sends a request when there may be one more; ends when its answer was read. */
  run<T>(request: () => Promise<T>): Promise<T>
}

export function createRemoteHost(name: string, limits: HostLimits = {}): RemoteHost {
  const { maxConnections } = limits
  return {
    name,
    ...limits,
    run: maxConnections === undefined ? (request) => request() : pLimit(maxConnections),
  }
}

/** Sends a request when the host may have one more, which it may again once the answer was read or destroyed. */
export function requestFrom(
  { run, maxConnections }: RemoteHost,
  send: () => Promise<HttpResponse>,
): Promise<HttpResponse> {
  if (maxConnections === undefined) return send()
  return new Promise((resolve, reject) => {
    run(async () => {
      const response = await send()
      const over = finished(response.body, { writable: false })
      resolve(response)
      await over.catch(() => undefined)
    }).catch(reject)
  })
}
