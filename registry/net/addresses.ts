import { BlockList, isIP } from 'node:net'
import { DrayError } from '#oci/error.ts'

/** A set of IP addresses. */
export type AddressSet = (address: string) => boolean

const NOBODY: AddressSet = () => false

/** Reads addresses and networks, such as `10.0.0.0/8` and `::1`. @throws CONFIG_INVALID */
export function parseAddressSet(texts: readonly string[]): AddressSet {
  if (texts.length === 0) return NOBODY
  const list = new BlockList()
  for (const text of texts) {
    const [address = '', bits, ...more] = text.split('/')
    const family = isIP(address)
    const longest = family === 6 ? 128 : 32
    const length = bits === undefined ? longest : Number(bits)
    const isLength = bits === undefined || (/^[0-9]{1,3}$/.test(bits) && length <= longest)
    if (family === 0 || !isLength || more.length > 0) {
      throw new DrayError(
        'CONFIG_INVALID',
        `${JSON.stringify(text)} is no address: write one such as 10.0.0.0/8 or ::1`,
      )
    }
    list.addSubnet(address, length, family === 6 ? 'ipv6' : 'ipv4')
  }
  return (address) => {
    const family = isIP(address)
    return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4')
  }
}

const MAPPED = /^::ffff:([0-9.]+)$/i

/** An address as people write it: IPv4 where it came mapped into IPv6, without a zone. */
export function plainAddress(address: string): string {
  const [bare = ''] = address.split('%')
  return MAPPED.exec(bare)?.[1] ?? bare
}

/** What one client has of the address space: an IPv4 address, or a network of IPv6 of 64 bits. */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address
  const [before = '', after] = address.split('::')
  const head = before === '' ? [] : before.split(':')
  const tail = after === undefined || after === '' ? [] : after.split(':')
  const zeros = Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0')
  return `${[...head, ...zeros, ...tail].slice(0, 4).join(':')}::/64`
}
