import { isIPv4 } from 'node:net'
import { DrayError } from '#oci/error.ts'
import type { PortMapping } from './model.ts'

const RANGE = /^(\d{1,5})(?:-(\d{1,5}))?$/

/** Parses `[IP:][HOST]:CONTAINER[/PROTOCOL]` or `CONTAINER` of `-p`, ports or ranges of one length. @throws USAGE */
export function parsePort(text: string): PortMapping[] {
  const [ports = '', protocol = 'tcp', ...rest] = text.split('/')
  const parts = ports.split(':')
  const [container = '', host = '', hostIp] = parts.toReversed()
  const isRight =
    rest.length === 0 && parts.length <= 3 && (protocol === 'tcp' || protocol === 'udp')
  const inside = numbers(container)
  const outside = host === '' ? inside?.map(() => 0) : numbers(host)
  const isAddress = hostIp === undefined || hostIp === '' || isIPv4(hostIp)
  if (!isRight || !isAddress || !inside || outside?.length !== inside.length) throw usage(text)
  return inside.map((containerPort, at) => ({
    ...(hostIp && hostIp !== '0.0.0.0' && { hostIp }),
    hostPort: outside[at] ?? 0,
    containerPort,
    protocol: protocol as PortMapping['protocol'],
  }))
}

/** `0.0.0.0:8080->80/tcp`, as docker has it. */
export function formatPort({ hostIp, hostPort, containerPort, protocol }: PortMapping): string {
  return `${hostIp ?? '0.0.0.0'}:${hostPort}->${containerPort}/${protocol}`
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
    `invalid port ${JSON.stringify(text)}: write [[IP:]HOST:]CONTAINER[/udp], such as 8080:80 or 127.0.0.1:53:53/udp`,
  )
}
