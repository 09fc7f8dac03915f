import { isIPv4, isIPv6 } from 'node:net'
import { DrayError } from '#oci/error.ts'
import type { ContainerOptions } from '../options.ts'
import type { Attachment } from './model.ts'
import { isUserModeProgram } from './user-mode/programs.ts'

type NetworkOptions = Pick<ContainerOptions, 'network' | 'networks'>

/** Whether an option names a network that others can be on, and neither somebody else's nor one of the container alone. */
export function isNetworkName(mode: ContainerOptions['network']): mode is string {
  if (mode === undefined || mode === 'none' || mode === 'host') return false
  return !mode.startsWith('container:') && !isUserModeProgram(mode)
}

/** The networks that a container is to be on. */
export function attachmentsOf({ network, networks }: NetworkOptions): readonly Attachment[] {
  if (!isNetworkName(network)) return []
  return networks ?? [{ name: network, aliases: [] }]
}

/** Options that put a container on networks, if there are any. */
export function optionsFor(networks: readonly Attachment[]): NetworkOptions {
  return { network: networks[0]?.name ?? 'none', networks }
}

/**
 * Parses `--network`, as often as it is there: a mode or the name of a network, alone or as `NAME:ip=ADDRESS,ip6=ADDRESS,mac=ADDRESS,alias=NAME`
 * (podman) or `name=NAME,ip=ADDRESS,alias=NAME` (docker); and `--ip`, `--ip6`, `--mac-address` and `--network-alias` beside it.
 *
 * @throws USAGE
 */
export function parseNetworks(
  texts: readonly string[],
  beside: {
    readonly ip?: string | undefined
    readonly ip6?: string | undefined
    readonly mac?: string | undefined
    readonly aliases?: readonly string[]
  },
): NetworkOptions {
  const { aliases = [] } = beside
  const addresses = {
    ...(beside.ip !== undefined && { ip: parseAddress(beside.ip) }),
    ...(beside.ip6 !== undefined && { ip6: parseAddress6(beside.ip6) }),
    ...(beside.mac !== undefined && { mac: parseMac(beside.mac) }),
  }
  const hasAddress = Object.keys(addresses).length > 0
  const networks = texts.map(parseNetwork)
  const special = networks.find(({ name }) => !isNetworkName(name))
  if (special !== undefined) {
    const { name, aliases: own, ...more } = special
    if (networks.length > 1) throw usage(`--network ${name} excludes other networks`)
    if (hasAddress || aliases.length > 0 || own.length > 0 || Object.keys(more).length > 0) {
      const what =
        'addresses and names that others see (--ip, --ip6, --mac-address, --network-alias)'
      throw usage(`--network ${name} excludes ${what}: they are for bridge, or a network of yours`)
    }
    return { network: name }
  }
  const twice = networks.find(({ name }, at) =>
    networks.some((other, b) => b < at && other.name === name),
  )
  if (twice !== undefined) throw usage(`network ${twice.name} is named twice`)
  if (hasAddress && networks.length !== 1) {
    const advice = 'write --network NAME:ip=ADDRESS,mac=ADDRESS for each'
    throw usage(`--ip, --ip6 and --mac-address are for one network: ${advice}`)
  }
  return optionsFor(
    networks.map((network) => ({
      ...network,
      aliases: [...network.aliases, ...aliases],
      ...addresses,
    })),
  )
}

/** @throws USAGE */
export function parseAddress(text: string): string {
  if (isIPv4(text)) return text
  throw usage(`invalid address ${JSON.stringify(text)}: write one such as 10.89.7.20`)
}

/** @throws USAGE */
export function parseAddress6(text: string): string {
  if (isIPv6(text)) return text
  throw usage(`invalid address ${JSON.stringify(text)}: write one of IPv6, such as fd00:1::20`)
}

/** @throws USAGE, also for an address of a group */
export function parseMac(text: string): string {
  const isOfOne = (Number.parseInt(text.slice(0, 2), 16) & 1) === 0
  if (/^[\da-f]{2}(?::[\da-f]{2}){5}$/i.test(text) && isOfOne) return text.toLowerCase()
  throw usage(`invalid address ${JSON.stringify(text)}: write one such as 02:42:ac:11:00:02`)
}

function parseNetwork(text: string): Attachment {
  const colon = text.indexOf(':')
  if (text.startsWith('container:') || (colon < 0 && !text.startsWith('name='))) {
    return { name: text === 'default' ? 'bridge' : text, aliases: [] }
  }
  const fields = text.startsWith('name=')
    ? text
    : `name=${text.slice(0, colon)},${text.slice(colon + 1)}`
  const attachment: { name: string; aliases: string[]; ip?: string; ip6?: string; mac?: string } = {
    name: '',
    aliases: [],
  }
  for (const field of fields.split(',')) {
    const [, key, value = ''] = /^([a-z-]+6?)=(.+)$/.exec(field) ?? []
    if (key === 'name') attachment.name = value
    else if (key === 'alias') attachment.aliases.push(value)
    else if (key === 'ip') attachment.ip = parseAddress(value)
    else if (key === 'ip6') attachment.ip6 = parseAddress6(value)
    else if (key === 'mac' || key === 'mac-address') attachment.mac = parseMac(value)
    else throw usage(`invalid network ${JSON.stringify(text)}: write NAME:ip=ADDRESS,alias=NAME`)
  }
  return attachment
}

function usage(message: string): DrayError {
  return new DrayError('USAGE', message)
}
