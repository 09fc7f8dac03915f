import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DrayError } from '#oci/error.ts'
import type { ContainerPaths } from '../layout.ts'
import { findRuntime } from '../runtime.ts'
import { makeNetworkNamespace, unmount } from '../sys.ts'
import { parseSubnet } from './address.ts'
import { dropAddress, takeAddress } from './leases.ts'
import type { Connection, NetworkRecord, PortMapping } from './model.ts'
import { publishNames } from './dns.ts'
import { baseRules, networkRules, portRules } from './rules.ts'

/** Where ip(8) looks for network namespaces by name. */
const NAMESPACES = '/run/netns'

/**
 * Puts a container that is about to start on a network: a namespace, a pair of interfaces, an address, rules for its ports.
 * What was done is found again by {@link disconnect}, even when this is cut off.
 *
 * @throws NETWORK_FAILED
 */
export async function connect(
  container: {
    readonly id: string
    readonly paths: ContainerPaths
    readonly names: readonly string[]
  },
  network: NetworkRecord,
  options: {
    readonly root: string
    readonly ports: readonly PortMapping[]
    readonly searchPath: string | undefined
  },
): Promise<Connection> {
  const { id, paths, names } = container
  const { root, ports, searchPath } = options
  const namespace = `dray-${id.slice(0, 16)}`
  const address = takeAddress(root, network, id)
  const connection = { namespace, network, address, ports, names }
  await writeFile(paths.network, JSON.stringify(connection), { mode: 0o600 })
  await mkdir(NAMESPACES, { recursive: true })
  makeNetworkNamespace(namespacePath(connection))
  await ensureBridge(network, searchPath)
  const host = `ve${id.slice(0, 12)}`
  await ip(
    searchPath,
    [],
    [
      `link add ${host} type veth peer name eth0 netns ${namespace}`,
      `link set ${host} master ${network.interface} up`,
    ],
  )
  await ip(
    searchPath,
    ['-n', namespace],
    [
      'link set lo up',
      `address add ${address}/${parseSubnet(network.subnet).bits} dev eth0`,
      'link set eth0 up',
      ...(network.isInternal ? [] : [`route add default via ${network.gateway}`]),
    ],
  )
  if (ports.length > 0) await nft(searchPath, portRules('add', ports, address))
  return connection
}

/** Takes a container off its network, if it is on one. What is gone already is no error. */
export async function disconnect(root: string, id: string, paths: ContainerPaths): Promise<void> {
  // Where the system's programs are is looked as well: the PATH of whoever set it up may be another.
  const searchPath = undefined
  const connection = await readConnection(paths)
  if (connection === undefined) return
  const { network, address, ports } = connection
  for (const port of ports) {
    await nft(searchPath, portRules('delete', [port], address)).catch(() => undefined)
  }
  const namespace = namespacePath(connection)
  if (existsSync(namespace)) {
    unmount(namespace)
    await rm(namespace, { force: true })
  }
  // The kernel takes the interfaces away with the namespace, after a while; the name is wanted again at once.
  await ip(searchPath, [], [`link delete ve${id.slice(0, 12)}`]).catch(() => undefined)
  dropAddress(root, network, address, id)
  await rm(paths.network, { force: true })
  await publishNames(root, network, searchPath)
}

/** What a container has on a network; undefined when it is on none. */
export async function readConnection(paths: ContainerPaths): Promise<Connection | undefined> {
  try {
    return JSON.parse(await readFile(paths.network, 'utf8')) as Connection
  } catch {
    return undefined
  }
}

/** Where the namespace of a connection is. */
export function namespacePath({ namespace }: Pick<Connection, 'namespace'>): string {
  return join(NAMESPACES, namespace)
}

/** Removes a network's bridge and rules from the host. */
export async function removeBridge(network: NetworkRecord, searchPath?: string): Promise<void> {
  if (!isThere(network)) return
  await nft(searchPath, networkRules('delete', network)).catch(() => undefined)
  await ip(searchPath, [], [`link delete ${network.interface}`])
}

async function ensureBridge(network: NetworkRecord, searchPath: string | undefined): Promise<void> {
  if (isThere(network)) return
  const { interface: bridge, gateway, subnet } = network
  await ip(searchPath, [], [`link add ${bridge} type bridge`]).catch((error: unknown) => {
    if (!isThere(network)) throw error // somebody else was faster
  })
  await nft(searchPath, baseRules() + networkRules('add', network))
  await ip(
    searchPath,
    [],
    [
      `address replace ${gateway}/${parseSubnet(subnet).bits} dev ${bridge}`,
      `link set ${bridge} up`,
    ],
  )
  if (network.isInternal) return
  await writeFile('/proc/sys/net/ipv4/ip_forward', '1')
  // So that 127.0.0.1:PORT of the host leads to a container too.
  await writeFile(`/proc/sys/net/ipv4/conf/${bridge}/route_localnet`, '1')
}

function isThere(network: NetworkRecord): boolean {
  return existsSync(`/sys/class/net/${network.interface}`)
}

async function ip(
  searchPath: string | undefined,
  args: readonly string[],
  lines: readonly string[],
) {
  await runScript('ip', 'iproute2', [...args, '-batch', '-'], lines.join('\n'), searchPath)
}

async function nft(searchPath: string | undefined, script: string): Promise<void> {
  await runScript('nft', 'nftables', ['-f', '-'], script, searchPath)
}

async function runScript(
  program: string,
  debianPackage: string,
  args: readonly string[],
  input: string,
  searchPath: string | undefined,
): Promise<void> {
  const found = await findRuntime(program, searchPath)
  if (found === undefined) {
    const advice = `apt-get install ${debianPackage}, or use --network none or host`
    throw new DrayError(
      'NETWORK_FAILED',
      `${program}, which sets up networks, is not installed: ${advice}`,
    )
  }
  await new Promise<void>((resolve, reject) => {
    const child = execFile(found.path, [...args], (error, _, stderr) => {
      if (error === null) resolve()
      else reject(new DrayError('NETWORK_FAILED', `${program}: ${stderr.trim() || error.message}`))
    })
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(`${input}\n`)
  })
}
