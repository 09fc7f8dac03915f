import { isIPv4, isIPv6 } from 'node:net'
import { DrayError } from '#oci/error.ts'
import type { PortMapping, PublishBy } from './model.ts'

/** All addresses of the host. */
const ANY = ['0.0.0.0', '::']
const RANGE = /^(\d{1,5})(?:-(\d{1,5}))?$/

/**
 * Parses `[IP:][HOST]:CONTAINER[/PROTOCOL]` or `CONTAINER` of `-p`; `[IP]` of IPv6. Ranges have one length; a range of the host
 * for one port of the container stands for one of it that is free.
 *
 * @throws USAGE
 */
export function parsePort(text: string): PortMapping[] {
  const [ports = '', protocol = 'tcp', ...rest] = text.toLowerCase().split('/')
  const of6 = /^\[([\d:a-fA-F.]+)\]:([^:]*):([^:]*)$/.exec(ports)
  const parts = of6 === null ? ports.split(':').toReversed() : of6.slice(1).toReversed()
  const [container = '', host = '', hostIp] = parts
  const isRight =
    rest.length === 0 && parts.length <= 3 && (protocol === 'tcp' || protocol === 'udp')
  const inside = numbers(container)
  const outside = host === '' || host === '0' ? inside?.map(() => 0) : numbers(host)
  const isAddress = of6 === null ? !hostIp || isIPv4(hostIp) : isIPv6(hostIp ?? '')
  if (!isRight || !isAddress || !inside || !outside) throw usage(text)
  if (inside.length > 1 && outside.length !== inside.length) {
    throw differentLengths(text, outside.length, inside.length)
  }
  return inside.map((containerPort, at) => ({
    ...(hostIp && !ANY.includes(hostIp) && { hostIp }),
    hostPort: outside[at] ?? 0,
    ...(outside.length > inside.length && { hostPortEnd: outside.at(-1) }),
    containerPort,
    protocol: protocol as PortMapping['protocol'],
  }))
}

/** Parses `PORT[-PORT][/PROTOCOL]` of `--expose`. @returns each as `80/tcp`. @throws USAGE */
export function parseExposed(text: string): string[] {
  const [ports = '', protocol = 'tcp', ...rest] = text.toLowerCase().split('/')
  const inside = numbers(ports)
  if (inside !== undefined && /^(?:tcp|udp|sctp)$/.test(protocol) && rest.length === 0) {
    return inside.map((port) => `${port}/${protocol}`)
  }
  throw new DrayError(
    'USAGE',
    `invalid port ${JSON.stringify(text)}: write PORT[-PORT][/udp], such as 80 or 8000-8010/udp`,
  )
}

/** Parses `kernel` or `proxy`. @throws USAGE */
export function parsePublishBy(text: string): PublishBy {
  if (text === 'kernel' || text === 'proxy') return text
  throw new DrayError(
    'USAGE',
    `invalid --publish-by ${JSON.stringify(text)}: write kernel or proxy`,
  )
}

/** `0.0.0.0:8080->80/tcp`, as docker has it. */
export function formatPort({ containerPort, protocol, ...outside }: PortMapping): string {
  return `${formatOutside(outside)}->${containerPort}/${protocol}`
}

/** Its port of the host, or the range that it is to be of. */
export function formatHostPort({
  hostPort,
  hostPortEnd,
}: Pick<PortMapping, 'hostPort' | 'hostPortEnd'>): string {
  return hostPortEnd === undefined ? `${hostPort}` : `${hostPort}-${hostPortEnd}`
}

/** `0.0.0.0:8080` or `[fd00::1]:8080`. */
export function formatOutside({
  hostIp = '0.0.0.0',
  ...ports
}: Pick<PortMapping, 'hostIp' | 'hostPort' | 'hostPortEnd'>): string {
  return `${hostIp.includes(':') ? `[${hostIp}]` : hostIp}:${formatHostPort(ports)}`
}

function numbers(text: string): number[] | undefined {
  const match = RANGE.exec(text)
  const first = Number(match?.[1])
  const last = Number(match?.[2] ?? first)
  if (match === null || first < 1 || last > 65_535 || last < first) return undefined
  return Array.from({ length: last - first + 1 }, (_, at) => first + at)
}

function usage(text: string): DrayError {
  return new DrayError(
    'USAGE',
    `invalid port ${JSON.stringify(text)}: write [[IP:]HOST:]CONTAINER[/udp], such as 8080:80, 127.0.0.1:53:53/udp or 8000-8010:80`,
  )
}

function differentLengths(text: string, outside: number, inside: number): DrayError {
  const advice = 'write as many of each, or one port of the container for a free one of the host'
  return new DrayError(
    'USAGE',
    `invalid port ${JSON.stringify(text)}: ${outside} of the host for ${inside} of the container: ${advice}`,
  )
}
