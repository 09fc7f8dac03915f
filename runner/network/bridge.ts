import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DrayError } from '#oci/error.ts'
import { isInUserNamespace } from '#oci/user-namespace.ts'
import { exclusivelyAsync } from '../file-lock.ts'
import { DEFAULT_STATE_DIR } from '../layout.ts'
import { parseSubnet6 } from './address6.ts'
import { parseSubnet } from './address.ts'
import { connectionsOn } from './connections.ts'
import { publishNames } from './dns.ts'
import { BRIDGE_PREFIX, type NetworkRecord } from './model.ts'
import { baseRules, noRules, rulesToAdd, rulesToRemove } from './rules.ts'
import { ip, nft } from './tools.ts'

/**
 * A network's bridge, rules and names are on the host as long as a container is on it. All stores share the table of rules
 * and the name server, so that one process of the host at a time puts up or takes down.
 */
const LOCK = join(DEFAULT_STATE_DIR, 'networks.lock')
const INTERFACES = '/sys/class/net'
/** Missing when the host has no IPv6. */
const IPV6 = '/proc/sys/net/ipv6/conf'
const IFF_UP = 1

/**
 * Puts a network up, unless it is. `note` writes down first that a container is on it: from then on nobody takes it down.
 *
 * @throws NETWORK_FAILED
 */
export async function enterNetwork(
  root: string,
  network: NetworkRecord,
  searchPath: string | undefined,
  note: () => Promise<void>,
): Promise<void> {
  await alone(async () => {
    await note()
    if (!isUp(network)) await putUp(network, searchPath)
    await publishNames(root, network, searchPath)
  })
}

/**
 * Takes a network down, if the container is the last one on it. `forget` takes back what was noted, and comes last: when this
 * process is killed before, the next one does it all again.
 *
 * @throws NETWORK_FAILED
 */
export async function leaveNetwork(
  root: string,
  network: NetworkRecord,
  id: string,
  forget: () => Promise<void>,
): Promise<void> {
  await alone(async () => {
    const others = connectionsOn(root, network).filter((other) => other.id !== id)
    if (others.length === 0) await takeDown(network)
    await forget()
    await publishNames(root, network, undefined)
  })
}

/**
 * Lets the host forward for a network that is up, and starts its name server, where somebody ended that.
 *
 * @throws NETWORK_FAILED
 */
export async function refreshNetwork(
  root: string,
  network: NetworkRecord,
  searchPath: string | undefined,
): Promise<void> {
  const { interface: bridge, name, isInternal } = network
  await alone(async () => {
    if (!isUp(network)) {
      const advice = 'stop the containers that are on it, and start them again'
      throw new DrayError('NETWORK_FAILED', `${bridge}, of network ${name}, is gone: ${advice}`)
    }
    if (!isInternal) await forward(network)
    await publishNames(root, network, searchPath)
  })
}

/** Takes a network down, if no container is on it. @throws NETWORK_FAILED */
export async function takeDownUnused(root: string, network: NetworkRecord): Promise<void> {
  // An ordinary user has none on the host, nor the lock.
  if (isInUserNamespace()) return
  await alone(async () => {
    if (isThere(network) && connectionsOn(root, network).length === 0) await takeDown(network)
  })
}

/** Does work on networks while no other process of the host does. */
export async function alone(work: () => Promise<void>): Promise<void> {
  mkdirSync(DEFAULT_STATE_DIR, { recursive: true, mode: 0o700 })
  await exclusivelyAsync(LOCK, work)
}

/** What ip(8) is told of the packets of a network's interfaces, before their type. */
export function mtuWords({ mtu }: NetworkRecord): string {
  return mtu === undefined ? '' : `mtu ${mtu} `
}

/** The bridge is up last, by which a half is told from a whole. */
async function putUp(network: NetworkRecord, searchPath: string | undefined): Promise<void> {
  const { interface: bridge, gateway, subnet, gateway6, subnet6, isInternal } = network
  if (isThere(network)) await ip(searchPath, [], [`link delete ${bridge}`])
  const base = baseRules('ip') + (subnet6 === undefined ? '' : baseRules('ip6'))
  await nft(searchPath, base + rulesToAdd(network))
  await ip(
    searchPath,
    [],
    [
      `link add ${bridge} ${mtuWords(network)}type bridge`,
      `address add ${gateway}/${parseSubnet(subnet).bits} dev ${bridge}`,
      ...(gateway6 && subnet6
        ? [`address add ${gateway6}/${parseSubnet6(subnet6).bits} dev ${bridge} nodad`]
        : []),
    ],
  )
  if (!isInternal) await forward(network)
  await ip(searchPath, [], [`link set ${bridge} up`])
}

/** Where the system's programs are is looked as well: the PATH of whoever put it up may be another. */
async function takeDown(network: NetworkRecord): Promise<void> {
  if (isThere(network)) await ip(undefined, [], [`link delete ${network.interface}`])
  const isLast = !readdirSync(INTERFACES).some((name) => name.startsWith(BRIDGE_PREFIX))
  // They are gone already when the host's rules were flushed.
  await nft(undefined, isLast ? allGone() : rulesToRemove(network)).catch(() => undefined)
}

function allGone(): string {
  return noRules('ip') + (existsSync(IPV6) ? noRules('ip6') : '')
}

async function forward({ interface: bridge, subnet6 }: NetworkRecord): Promise<void> {
  await writeFile('/proc/sys/net/ipv4/ip_forward', '1')
  if (subnet6 !== undefined) await forward6()
  // So that 127.0.0.1:PORT of the host leads to a container too.
  await writeFile(`/proc/sys/net/ipv4/conf/${bridge}/route_localnet`, '1')
}

/** A host that forwards no longer listens to routers, by which it may have its own way out, unless it is told to. */
async function forward6(): Promise<void> {
  for (const name of await readdir(IPV6)) {
    const path = join(IPV6, name, 'accept_ra')
    if ((await readFile(path, 'latin1').catch(() => '')).trim() === '1') await writeFile(path, '2')
  }
  await writeFile(join(IPV6, 'all/forwarding'), '1')
}

function isThere(network: NetworkRecord): boolean {
  return existsSync(join(INTERFACES, network.interface))
}

function isUp(network: NetworkRecord): boolean {
  if (!isThere(network)) return false
  const flags = Number(readFileSync(join(INTERFACES, network.interface, 'flags'), 'latin1'))
  return (flags & IFF_UP) !== 0
}
