import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Identity } from './identity.ts'

const known = new WeakMap<Socket, { readonly identity: Identity | undefined }>()

/**
 * Who the client of a connection is by its certificate, of a CA that the registry was told to trust: the first of its
 * names that count, of kinds URI, DNS and email. Rules see all of them as claims. The common name says nothing.
 */
export function certificateIdentity(socket: Socket): Identity | undefined {
  const found = known.get(socket)
  if (found !== undefined) return found.identity
  const identity = findIdentity(socket)
  known.set(socket, { identity })
  return identity
}

function findIdentity(socket: Socket): Identity | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  const names = parseAltNames(socket.getPeerX509Certificate()?.subjectAltName)
  const [first] = names
  if (first === undefined) return undefined
  const of = (kind: string) => names.filter((name) => name.kind === kind).map(({ value }) => value)
  const claims = { uri: of('uri'), dns: of('dns'), email: of('email') }
  return { name: `cert:${first.kind}:${first.value}`, groups: [], issuer: 'cert', claims }
}

interface AltName {
  readonly kind: 'uri' | 'dns' | 'email'
  readonly value: string
}

const KINDS = { URI: 'uri', DNS: 'dns', email: 'email' } as const

/**
 * Reads the names of a certificate as Node writes them. Names that it had to quote, since they hold what parts names,
 * make all of them count for nothing.
 */
export function parseAltNames(text = ''): readonly AltName[] {
  if (text === '' || text.includes('"')) return []
  const names = text.split(', ').flatMap((each): AltName[] => {
    const colon = each.indexOf(':')
    const kind = KINDS[each.slice(0, colon) as keyof typeof KINDS]
    const value = each.slice(colon + 1)
    if (kind === undefined || !/^[\x21-\x7e]{1,500}$/.test(value)) return []
    return [{ kind, value: kind === 'dns' ? value.toLowerCase() : value }]
  })
  return Object.values(KINDS).flatMap((kind) => names.filter((name) => name.kind === kind))
}
