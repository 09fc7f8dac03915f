import { isIPv4, isIPv6 } from 'node:net'
import { DrayError } from '#oci/error.ts'
import type { ContainerOptions } from '../options.ts'
import type { Attachment } from './model.ts'

type NetworkOptions = Pick<ContainerOptions, 'network' | 'networks'>

/** Whether an option names a network, and no way to have none of one's own. */
export function isNetworkName(mode: ContainerOptions['network']): mode is string {
  return mode !== undefined && mode !== 'none' && mode !== 'host' && !mode.startsWith('container:')
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
 * Parses `--network`, as often as it is there: a mode or the name of a network, alone or as `NAME:ip=ADDRESS,ip6=ADDRESS,alias=NAME`
 * (podman) or `name=NAME,ip=ADDRESS,alias=NAME` (docker); and `--ip`, `--ip6` and `--network-alias` beside it.
 *
 * @throws USAGE
 */
export function parseNetworks(
  texts: readonly string[],
  beside: {
    readonly ip?: string | undefined
    readonly ip6?: string | undefined
    readonly aliases?: readonly string[]
  },
): NetworkOptions {
  const { aliases = [] } = beside
  const addresses = {
    ...(beside.ip !== undefined && { ip: parseAddress(beside.ip) }),
    ...(beside.ip6 !== undefined && { ip6: parseAddress6(beside.ip6) }),
  }
  const hasAddress = Object.keys(addresses).length > 0
  const networks = texts.map(parseNetwork)
  const special = networks.find(({ name }) => !isNetworkName(name))
  if (special !== undefined) {
    if (networks.length > 1 || hasAddress) {
      throw usage(`--network ${special.name} excludes other networks, and addresses`)
    }
    return { network: special.name }
  }
  const twice = networks.find(({ name }, at) =>
    networks.some((other, b) => b < at && other.name === name),
  )
  if (twice !== undefined) throw usage(`network ${twice.name} is named twice`)
  if (hasAddress && networks.length !== 1) {
    throw usage('--ip and --ip6 are for one network: write --network NAME:ip=ADDRESS for each')
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

function parseNetwork(text: string): Attachment {
  const colon = text.indexOf(':')
  if (text.startsWith('container:') || (colon < 0 && !text.startsWith('name='))) {
    return { name: text === 'default' ? 'bridge' : text, aliases: [] }
  }
  const fields = text.startsWith('name=')
    ? text
    : `name=${text.slice(0, colon)},${text.slice(colon + 1)}`
  const attachment: { name: string; aliases: string[]; ip?: string; ip6?: string } = {
    name: '',
    aliases: [],
  }
  for (const field of fields.split(',')) {
    const [, key, value = ''] = /^([a-z]+6?)=(.+)$/.exec(field) ?? []
    if (key === 'name') attachment.name = value
    else if (key === 'alias') attachment.aliases.push(value)
    else if (key === 'ip') attachment.ip = parseAddress(value)
    else if (key === 'ip6') attachment.ip6 = parseAddress6(value)
    else throw usage(`invalid network ${JSON.stringify(text)}: write NAME:ip=ADDRESS,alias=NAME`)
  }
  return attachment
}

function usage(message: string): DrayError {
  return new DrayError('USAGE', message)
}
