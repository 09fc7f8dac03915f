import { existsSync, mkdirSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { DrayError, isErrno } from '#oci/error.ts'
import { exclusively } from '../file-lock.ts'
import { containerPaths, containersDir } from '../layout.ts'
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
  const { name, subnet, gateway } = network
  if (wanted !== undefined && (wanted === gateway || !isHostAddress(subnet, wanted))) {
    throw new DrayError(
      'USAGE',
      `${wanted} is no address for containers of network ${name} (${subnet})`,
    )
  }
  const dir = leasesDir(root, name)
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  return exclusively(join(dir, '.lock'), () => {
    for (const address of wanted === undefined ? hostAddresses(subnet) : [wanted]) {
      if (address !== gateway && take(root, join(dir, address), id)) return address
    }
    const which = wanted === undefined ? 'all addresses' : `address ${wanted}`
    throw new DrayError('RUN_FAILED', `${which} of network ${name} taken by other containers`)
  })
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
