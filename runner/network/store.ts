import { createHash, randomBytes } from 'node:crypto'
import { link, mkdir, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import * as z from 'zod'
import { DrayError, isErrno } from '#oci/error.ts'
import { parseJson } from '#oci/json.ts'
import { check } from '#oci/schema.ts'
import { syncPath } from '#oci/sync-path.ts'
import { isInUserNamespace } from '#oci/user-namespace.ts'
import { listContainers } from '../containers/find.ts'
import { attachmentsOf } from './attachments.ts'
import {
  canonical6,
  gateway6Of,
  isHostAddress6,
  parseSubnet6,
  randomSubnet6,
  range6Of,
} from './address6.ts'
import { gatewayOf, isHostAddress, overlaps, parseSubnet, rangeOf } from './address.ts'
import { BRIDGE_PREFIX, type NetworkRecord } from './model.ts'
import { USER_MODE_PROGRAMS } from './user-mode/programs.ts'

/** The network that a container is on when nothing else is said. It is there without being made. */
export const DEFAULT_NETWORK = 'bridge'

/** Names that stand for no bridge. */
const RESERVED = ['none', 'host', 'default', 'container', DEFAULT_NETWORK, ...USER_MODE_PROGRAMS]
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/
const RECORD_LIMIT = 64 * 1024

/** Where a free subnet is looked for, one after the other. */
const SUBNETS = Array.from({ length: 255 }, (_, at) => `10.90.${at}.0/24`)

const schema = z.object({
  name: z.string(),
  id: z.string(),
  createdAt: z.string(),
  interface: z.string(),
  subnet: z.string(),
  gateway: z.string(),
  subnet6: z.string().optional(),
  gateway6: z.string().optional(),
  range: z.string().optional(),
  range6: z.string().optional(),
  reserved: z.array(z.string()).optional(),
  mtu: z.number().optional(),
  isInternal: z.boolean(),
  hasNames: z.boolean(),
  labels: z.record(z.string(), z.string()),
})

export interface NewNetwork {
  /** Default: one that is free. */
  readonly subnet?: string | undefined
  readonly gateway?: string | undefined
  /** Default: some, if {@link hasIpv6}. */
  readonly subnet6?: string | undefined
  readonly gateway6?: string | undefined
  readonly hasIpv6?: boolean | undefined
  /** Part of the subnet. */
  readonly range?: string | undefined
  readonly range6?: string | undefined
  readonly reserved?: readonly string[] | undefined
  readonly mtu?: number | undefined
  readonly isInternal?: boolean | undefined
  /** Default true. */
  readonly hasNames?: boolean | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
}

/** Makes a network. Nothing of it is on the host before a container is on it. @throws USAGE, NAME_TAKEN, NETWORK_FAILED */
export async function createNetwork(
  root: string,
  name: string,
  options: NewNetwork = {},
): Promise<NetworkRecord> {
  if (!NAME.test(name) || RESERVED.includes(name)) {
    throw new DrayError('USAGE', `a network can't be called ${JSON.stringify(name)}`)
  }
  if (isInUserNamespace()) throw needsRoot([name])
  const record = await newRecord(root, name, options)
  if (await publish(root, record)) return record
  throw new DrayError('NAME_TAKEN', `there is a network ${name} already`)
}

/** What an ordinary user is told who names networks. */
export function needsRoot(names: readonly string[]): DrayError {
  const advice = `use --network ${USER_MODE_PROGRAMS.join(' or ')}, host or none`
  const message = `network ${names.join(', ')} is of bridges, which only root can make: ${advice}`
  return new DrayError('NETWORK_FAILED', message)
}

/** @throws NETWORK_UNKNOWN */
export async function findNetwork(root: string, name: string): Promise<NetworkRecord> {
  const found = await readNetwork(root, name)
  if (found !== undefined) return found
  if (name === DEFAULT_NETWORK) {
    const record = await newRecord(root, name, {})
    // Somebody else may have made it meanwhile.
    return (await publish(root, record)) ? record : await findNetwork(root, name)
  }
  throw new DrayError(
    'NETWORK_UNKNOWN',
    `no network is called ${JSON.stringify(name)}: dray network ls lists them`,
  )
}

/** All networks, by name. */
export async function listNetworks(root: string): Promise<NetworkRecord[]> {
  const files = await readdir(networksDir(root)).catch(() => [])
  const names = files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -5))
  const found = await Promise.all(names.sort().map((name) => readNetwork(root, name)))
  return found.filter((network) => network !== undefined)
}

/** Removes a network. @throws NETWORK_UNKNOWN; NETWORK_IN_USE when a container is to be on it */
export async function removeNetwork(root: string, name: string): Promise<NetworkRecord> {
  const network = await findNetwork(root, name)
  if (name === DEFAULT_NETWORK) throw new DrayError('USAGE', 'the default network always exists')
  const users = (await listContainers(root)).filter(({ record }) =>
    attachmentsOf(record.options).some((attachment) => attachment.name === name),
  )
  if (users.length > 0) {
    const names = users.map(({ record }) => record.name).join(', ')
    throw new DrayError(
      'NETWORK_IN_USE',
      `container ${names} is on network ${name}: remove it first`,
    )
  }
  await unlink(recordPath(root, name))
  await rm(leasesDir(root, name), { recursive: true, force: true })
  return network
}

/** Where the addresses are that containers have. */
export function leasesDir(root: string, name: string): string {
  return join(networksDir(root), `${name}.leases`)
}

async function newRecord(root: string, name: string, options: NewNetwork): Promise<NetworkRecord> {
  const subnet = options.subnet ?? (await freeSubnet(root))
  const subnet6 = options.subnet6 ?? (options.hasIpv6 ? randomSubnet6() : undefined)
  const id = randomBytes(32).toString('hex')
  const isDefault = name === DEFAULT_NETWORK
  return {
    name,
    id,
    createdAt: new Date().toISOString(),
    interface: BRIDGE_PREFIX + id.slice(0, 8),
    subnet: parseSubnet(subnet).text,
    gateway: gatewayOf(subnet, options.gateway),
    ...(subnet6 !== undefined && {
      subnet6: parseSubnet6(subnet6).text,
      gateway6: gateway6Of(subnet6, options.gateway6),
    }),
    ...(options.range !== undefined && { range: rangeOf(subnet, options.range) }),
    ...(options.range6 !== undefined && { range6: range6Of(subnet6, options.range6) }),
    ...(options.reserved?.length && {
      reserved: options.reserved.map((address) => reservedOf(subnet, subnet6, address)),
    }),
    ...(options.mtu !== undefined && { mtu: options.mtu }),
    isInternal: options.isInternal ?? false,
    hasNames: !isDefault && (options.hasNames ?? true),
    labels: options.labels ?? {},
  }
}

/** @throws USAGE */
function reservedOf(subnet: string, subnet6: string | undefined, address: string): string {
  if (isHostAddress(subnet, address)) return address
  if (subnet6 !== undefined && isHostAddress6(subnet6, address)) return canonical6(address)
  throw new DrayError('USAGE', `${address} is no address of the network's subnets`)
}

/** One that neither the host nor another network uses. */
export async function freeSubnet(root: string): Promise<string> {
  const own = (await listNetworks(root)).map(({ subnet }) => subnet)
  const ofHost = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .flatMap(({ family, cidr }) => (family === 'IPv4' && cidr !== null ? [cidr] : []))
  const routed = parseRoutes(await readFile('/proc/net/route', 'latin1').catch(() => ''))
  const taken = [...own, ...ofHost, ...routed]
  const free = subnetsFor(root).find((subnet) => !taken.some((other) => overlaps(subnet, other)))
  if (free !== undefined) return free
  throw new DrayError('USAGE', 'no subnet is free: name one with --subnet')
}

/**
 * In the order in which a store tries them. Stores of one host don't know one another's networks while these are down, so
 * each begins elsewhere.
 */
function subnetsFor(root: string): readonly string[] {
  const start = createHash('sha256').update(root).digest().readUInt32BE(0) % SUBNETS.length
  return [...SUBNETS.slice(start), ...SUBNETS.slice(0, start)]
}

/** The destinations of /proc/net/route but the default one: addresses in hex, the first byte last. */
function parseRoutes(text: string): string[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, destination = '', , , , , , mask = ''] = line.trim().split(/\s+/)
      if (destination === '' || mask === '00000000') return []
      const bits = [...Number.parseInt(mask, 16).toString(2)].filter((bit) => bit === '1').length
      const address = (destination.match(/../g) ?? [])
        .reverse()
        .map((byte) => Number.parseInt(byte, 16))
      return [`${address.join('.')}/${bits}`]
    })
}

/** False when the name is taken. */
async function publish(root: string, record: NetworkRecord): Promise<boolean> {
  await mkdir(networksDir(root), { recursive: true, mode: 0o700 })
  const temporary = join(networksDir(root), `.${crypto.randomUUID()}`)
  await writeFile(temporary, JSON.stringify(record), { flush: true })
  try {
    await link(temporary, recordPath(root, record.name))
    await syncPath(networksDir(root))
    return true
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false
    throw error
  } finally {
    await unlink(temporary)
  }
}

async function readNetwork(root: string, name: string): Promise<NetworkRecord | undefined> {
  if (!NAME.test(name)) return undefined
  try {
    const bytes = await readFile(recordPath(root, name))
    const value = parseJson(bytes, { code: 'STORE_FAILED', maxBytes: RECORD_LIMIT })
    return check(schema, value, 'network record', 'STORE_FAILED')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

function networksDir(root: string): string {
  return join(root, 'networks')
}

function recordPath(root: string, name: string): string {
  return join(networksDir(root), `${name}.json`)
}
