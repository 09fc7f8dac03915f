import { isIPv4 } from 'node:net'
import { DrayError } from '#oci/error.ts'

/** A range of IPv4 addresses, as numbers. */
export interface Subnet {
  readonly text: string
  readonly first: number
  readonly size: number
  readonly bits: number
}

/** Parses `10.89.0.0/24`, any address of it; of 8 to 30 bits. @throws USAGE */
export function parseSubnet(text: string): Subnet {
  const [address = '', bitsText = ''] = text.split('/')
  const bits = Number(bitsText)
  if (!isIPv4(address) || !/^\d{1,2}$/.test(bitsText) || bits < 1 || bits > 32) {
    throw new DrayError('USAGE', `invalid subnet ${JSON.stringify(text)}: write 10.89.0.0/24`)
  }
  const size = 2 ** (32 - bits)
  const first = Math.floor(toNumber(address) / size) * size
  return { text: `${toAddress(first)}/${bits}`, first, size, bits }
}

/** Whether two subnets share an address. */
export function overlaps(a: string, b: string): boolean {
  const [one, other] = [parseSubnet(a), parseSubnet(b)]
  return one.first < other.first + other.size && other.first < one.first + one.size
}

/** The host's address on a subnet: the one that is given, or the first. @throws USAGE */
export function gatewayOf(subnet: string, gateway: string | undefined): string {
  const { first, bits, text } = parseSubnet(subnet)
  if (bits < 8 || bits > 30)
    throw new DrayError('USAGE', `a subnet of /${bits} has no use: take /8 to /30`)
  if (gateway === undefined) return toAddress(first + 1)
  if (isHostAddress(subnet, gateway)) return gateway
  throw new DrayError('USAGE', `the gateway ${gateway} is no address of ${text}`)
}

/** Parses a part of a subnet. @throws USAGE */
export function rangeOf(subnet: string, range: string): string {
  const [whole, part] = [parseSubnet(subnet), parseSubnet(range)]
  const isPart = part.bits >= whole.bits && overlaps(subnet, range)
  if (isPart) return part.text
  throw new DrayError('USAGE', `the range ${range} is no part of the subnet ${whole.text}`)
}

/** All addresses that containers may have: without the first and the last, which have a meaning of their own. */
export function* hostAddresses(subnet: string, range = subnet): Generator<string> {
  const { first, size } = parseSubnet(range)
  for (let number = first; number < first + size; number++) {
    if (isHostAddress(subnet, toAddress(number))) yield toAddress(number)
  }
}

/** Whether a container may have an address, as far as the subnet goes. */
export function isHostAddress(subnet: string, address: string): boolean {
  const { first, size } = parseSubnet(subnet)
  const number = isIPv4(address) ? toNumber(address) : -1
  return number > first && number < first + size - 1
}

function toNumber(address: string): number {
  return address.split('.').reduce((number, byte) => number * 256 + Number(byte), 0)
}

function toAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.')
}
