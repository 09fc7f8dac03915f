import { existsSync, mkdirSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { DrayError, isErrno } from '#oci/error.ts'
import { exclusively } from '../file-lock.ts'
import { containerPaths, containersDir } from '../layout.ts'
import { canonical6, hostAddresses6, isHostAddress6 } from './address6.ts'
import { hostAddresses, isHostAddress } from './address.ts'
import type { NetworkRecord } from './model.ts'
import { leasesDir } from './store.ts'

/**
 * Gives a container an address of a network, each to one: a symlink that names it.
 *
 * @param wanted default: the first that is free
 * @throws RUN_FAILED when there is none, or it is taken; USAGE when it is none of the network
 */
export function takeAddress(
  root: string,
  network: NetworkRecord,
  id: string,
  wanted?: string,
): string {
  const { subnet, gateway, range } = network
  if (wanted !== undefined && (wanted === gateway || !isHostAddress(subnet, wanted))) {
    throw outside(network, wanted)
  }
  return takeOf(root, network, id, wanted === undefined ? hostAddresses(subnet, range) : [wanted])
}

/** {@link takeAddress} in IPv6; undefined when the network has none. */
export function takeAddress6(
  root: string,
  network: NetworkRecord,
  id: string,
  wanted?: string,
): string | undefined {
  const { subnet6, gateway6, range6 } = network
  if (wanted === undefined) {
    return subnet6 && takeOf(root, network, id, hostAddresses6(subnet6, range6))
  }
  const address = canonical6(wanted)
  if (subnet6 === undefined || address === gateway6 || !isHostAddress6(subnet6, address)) {
    throw outside(network, address)
  }
  return takeOf(root, network, id, [address])
}

function takeOf(
  root: string,
  { name, gateway, gateway6, reserved = [] }: NetworkRecord,
  id: string,
  addresses: Iterable<string>,
): string {
  const dir = leasesDir(root, name)
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  return exclusively(join(dir, '.lock'), () => {
    for (const address of addresses) {
      const isHosts = address === gateway || address === gateway6
      if (!isHosts && !reserved.includes(address) && take(root, join(dir, address), id))
        return address
    }
    const wanted = Array.isArray(addresses) ? String(addresses[0]) : undefined
    if (wanted !== undefined && reserved.includes(wanted)) {
      throw new DrayError('USAGE', `network ${name} keeps ${wanted} for somebody else`)
    }
    const which = wanted === undefined ? 'all addresses of' : `address ${wanted} of`
    throw new DrayError('RUN_FAILED', `other containers have ${which} network ${name}`)
  })
}

function outside({ name, subnet, subnet6 }: NetworkRecord, address: string): DrayError {
  const subnets = [subnet, subnet6].filter(Boolean).join(', ')
  const message = `${address} is no address for containers of network ${name} (${subnets})`
  return new DrayError('USAGE', message)
}

/** Gives an address back, if it is this container's. */
export function dropAddress(
  root: string,
  network: NetworkRecord,
  address: string,
  id: string,
): void {
  const path = join(leasesDir(root, network.name), address)
  if (holderOf(path) === id) unlinkSync(path)
}

/** An address whose container is gone is free. */
function take(root: string, path: string, id: string): boolean {
  const holder = holderOf(path)
  if (holder !== undefined) {
    const isGone = !existsSync(containerPaths(containersDir(root), holder).dir)
    if (!isGone && holder !== id) return false
    unlinkSync(path)
  }
  symlinkSync(id, path)
  return true
}

function holderOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
