import { randomBytes } from 'node:crypto'
import { isIPv6, SocketAddress } from 'node:net'
import { DrayError } from '#oci/error.ts'

/** A range of IPv6 addresses, as numbers. */
export interface Subnet6 {
  readonly text: string
  readonly first: bigint
  readonly size: bigint
  readonly bits: number
}

/** Parses `fd00:1::/64`, any address of it; of 16 to 120 bits. @throws USAGE */
export function parseSubnet6(text: string): Subnet6 {
  const [address = '', bitsText = ''] = text.split('/')
  const bits = Number(bitsText)
  if (!isIPv6(address) || !/^\d{1,3}$/.test(bitsText) || bits < 16 || bits > 120) {
    throw new DrayError('USAGE', `invalid subnet ${JSON.stringify(text)}: write fd00:1::/64`)
  }
  const size = 1n << BigInt(128 - bits)
  const first = (toNumber(address) / size) * size
  return { text: `${toAddress(first)}/${bits}`, first, size, bits }
}

/** The host's address on a subnet: the one that is given, or the first. @throws USAGE */
export function gateway6Of(subnet: string, gateway: string | undefined): string {
  if (gateway === undefined) return toAddress(parseSubnet6(subnet).first + 1n)
  if (isHostAddress6(subnet, gateway)) return toAddress(toNumber(gateway))
  throw new DrayError('USAGE', `the gateway ${gateway} is no address of ${subnet}`)
}

/** Parses a part of a subnet. @throws USAGE */
export function range6Of(subnet: string | undefined, range: string): string {
  const part = parseSubnet6(range)
  const whole = subnet === undefined ? undefined : parseSubnet6(subnet)
  const isPart =
    whole !== undefined &&
    part.first >= whole.first &&
    part.first + part.size <= whole.first + whole.size
  if (isPart) return part.text
  throw new DrayError('USAGE', `the range ${range} is no part of a subnet of the network`)
}

/** All addresses that containers may have. */
export function* hostAddresses6(subnet: string, range = subnet): Generator<string> {
  const { first, size } = parseSubnet6(range)
  for (let number = first; number < first + size; number++) {
    if (isHostAddress6(subnet, toAddress(number))) yield toAddress(number)
  }
}

/** Whether a container may have an address, as far as the subnet goes. */
export function isHostAddress6(subnet: string, address: string): boolean {
  const { first, size } = parseSubnet6(subnet)
  const number = isIPv6(address) ? toNumber(address) : 0n
  return number > first && number < first + size
}

/** A subnet that nobody else has, by chance (RFC 4193). */
export function randomSubnet6(): string {
  const hex = randomBytes(5).toString('hex')
  return parseSubnet6(`fd${hex.slice(0, 2)}:${hex.slice(2, 6)}:${hex.slice(6)}::/64`).text
}

/** As everybody writes it. */
export function canonical6(address: string): string {
  return new SocketAddress({ address, family: 'ipv6' }).address
}

function toNumber(address: string): bigint {
  const [head = '', tail] = canonical6(address).split('::')
  const words = (text: string) => (text === '' ? [] : text.split(':').flatMap(wordsOf))
  const [before, after] = [words(head), words(tail ?? '')]
  const zeros = Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0')
  const all = tail === undefined ? before : [...before, ...zeros, ...after]
  return BigInt(`0x${all.map((word) => word.padStart(4, '0')).join('')}`)
}

/** The last 32 bits may be there as an IPv4 address. */
function wordsOf(text: string): string[] {
  if (!text.includes('.')) return [text]
  const hex = text.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'))
  return [`${hex[0]}${hex[1]}`, `${hex[2]}${hex[3]}`]
}

function toAddress(number: bigint): string {
  const words = number.toString(16).padStart(32, '0').match(/.{4}/g) ?? []
  return canonical6(words.join(':'))
}
