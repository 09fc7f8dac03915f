import { BlockList, isIP } from 'node:net'

/** Whether a host, by its name or address without brackets, is reached without a proxy at this port. */
export type IsExempt = (host: string, port: number) => boolean

/**
 * Reads `NO_PROXY`, as Go programs do: names and addresses, separated by commas, each perhaps with a port. A name means those
 * under it too, `.name` and `*.name` only those; `10.0.0.0/8` is a network; `*` is everybody.
 */
export function parseNoProxy(text: string): IsExempt {
  const rules = text
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '')
  if (rules.includes('*')) return () => true
  const exempt = rules.map(parseRule)
  return (host, port) => exempt.some((isExempt) => isExempt(host.toLowerCase(), port))
}

function parseRule(rule: string): IsExempt {
  const [, network = '', bits] = /^([0-9a-f.:]+)\/(\d{1,3})$/.exec(rule) ?? []
  if (isIP(network) !== 0) return within(network, Number(bits))
  const [, name = rule, port] = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(rule) ?? []
  const isPort = (at: number) => port === undefined || Number(port) === at
  const bare = bareHost(name)
  if (isIP(bare) !== 0) {
    const isAddress = within(bare, isIP(bare) === 4 ? 32 : 128)
    return (host, at) => isPort(at) && isAddress(host, at)
  }
  const suffix = bare.replace(/^\*?(?=\.)/, '')
  return (host, at) =>
    isPort(at) &&
    (suffix.startsWith('.')
      ? host.endsWith(suffix)
      : host === suffix || host.endsWith(`.${suffix}`))
}

/** A host without the brackets that an IPv6 address has in a URL. */
export function bareHost(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1')
}

function within(network: string, bits: number): IsExempt {
  const list = new BlockList()
  const family = isIP(network)
  if (bits > (family === 4 ? 32 : 128)) return () => false
  list.addSubnet(network, bits, family === 4 ? 'ipv4' : 'ipv6')
  return (host) => isIP(host) === family && list.check(host, family === 4 ? 'ipv4' : 'ipv6')
}
