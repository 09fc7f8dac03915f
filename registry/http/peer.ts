import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import type { Middleware } from 'koa'
import { type AddressSet, plainAddress } from '../net/addresses.ts'
import type { Context } from './context.ts'

/** Whom a request comes from, and by which name it reached the registry. */
export interface Peer {
  /** Of the client, before the proxies that are trusted. */
  readonly address: string
  readonly scheme: 'http' | 'https'
  /** The `Host` that the client sent; not checked. */
  readonly host: string
}

/** One proxy's word on whom it passes a request on for. */
interface Hop {
  readonly address?: string | undefined
  readonly scheme?: string | undefined
  readonly host?: string | undefined
}

const PEER = 'peer'

export function peerOf(ctx: Pick<Context, 'state'>): Peer {
  return ctx.state[PEER]
}

/** Finds the peer of each request, by what trusted proxies say in `Forwarded` or `X-Forwarded-*`. */
export function findPeers(isTrusted: AddressSet): Middleware {
  return async (ctx, next) => {
    const address = plainAddress(ctx.req.socket.remoteAddress ?? '')
    const direct: Peer = {
      ...{ address, host: ctx.get('Host') },
      scheme: 'encrypted' in ctx.req.socket ? 'https' : 'http',
    }
    ctx.state[PEER] = isTrusted(address) ? behindProxies(direct, ctx.headers, isTrusted) : direct
    await next()
  }
}

/** Each proxy adds a hop at the end. What stands before the first proxy that isn't trusted could be anybody's. */
function behindProxies(direct: Peer, headers: IncomingHttpHeaders, isTrusted: AddressSet): Peer {
  const hops = headers.forwarded === undefined ? hopsOfX(headers) : hopsOf(headers.forwarded)
  let peer = direct
  for (const { address, scheme, host } of hops.reverse()) {
    if (!isTrusted(peer.address)) break
    peer = {
      address: address ?? peer.address,
      scheme: scheme === 'https' || scheme === 'http' ? scheme : peer.scheme,
      host: host ?? peer.host,
    }
    // A proxy may keep the client's address to itself, and say how it was called all the same.
    if (address === undefined) break
  }
  return peer
}

const PAIR = /(?:^|;)\s*(for|proto|host)\s*=\s*(?:"([^"\\]*)"|([^\s;,"]+))\s*(?=;|$)/gi

/** `Forwarded` (RFC 7239). */
function hopsOf(header: string): Hop[] {
  return header.split(',').map((element) => {
    const pairs = new Map(
      [...element.trim().matchAll(PAIR)].map(([, name = '', quoted, plain]) => [
        name.toLowerCase(),
        quoted ?? plain ?? '',
      ]),
    )
    return {
      address: parseNode(pairs.get('for') ?? ''),
      scheme: pairs.get('proto')?.toLowerCase(),
      host: pairs.get('host'),
    }
  })
}

/** `X-Forwarded-For`, with the scheme and the host that the last proxy gives. */
function hopsOfX(headers: IncomingHttpHeaders): Hop[] {
  const scheme = listOf(headers['x-forwarded-proto']).at(-1)?.toLowerCase()
  const host = listOf(headers['x-forwarded-host']).at(-1)
  const addresses = headers['x-forwarded-for']
  if (addresses === undefined) return [{ scheme, host }]
  return listOf(addresses).map((node) => ({ address: parseNode(node), scheme, host }))
}

function listOf(header: string | string[] | undefined): string[] {
  return [header ?? []]
    .flat()
    .flatMap((text) => text.split(','))
    .map((text) => text.trim())
}

/** An address with or without a port; undefined for names that only the proxy understands. */
function parseNode(text: string): string | undefined {
  const address =
    /^\[([^\]]+)\](?::[0-9]+)?$/.exec(text)?.[1] ?? text.replace(/^([0-9.]+):[0-9]+$/, '$1')
  return isIP(address) === 0 ? undefined : plainAddress(address)
}
