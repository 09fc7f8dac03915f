import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { etcFilesOf } from './layout.ts'
import type { ContainerOptions } from './options.ts'
import { readText } from './read-text.ts'

/** Addresses of a container on its networks, and of others that it may call by name. */
export interface Surroundings {
  readonly addresses?: readonly string[] | undefined
  /** Names for them; default: the host name. */
  readonly hostNames?: readonly string[] | undefined
  /** Directory of a container whose files are these, since its network is. */
  readonly sameAs?: string | undefined
  /** Whether services of the host's loopback device can't be reached. */
  readonly isIsolated?: boolean | undefined
  /** Name servers of the network: they ask those of the host. */
  readonly nameservers?: readonly string[] | undefined
  readonly searchDomains?: readonly string[] | undefined
  /** What `host-gateway` stands for. */
  readonly gateway?: string | undefined
}

type EtcOptions = Pick<
  ContainerOptions,
  'network' | 'domainname' | 'extraHosts' | 'keepsHosts' | 'dns' | 'dnsSearch' | 'dnsOptions'
>

/**
 * Writes a container's own hosts, hostname and resolv.conf; with the host's network, the host's names hold.
 *
 * @returns the files, by their paths inside
 */
export function writeEtcFiles(
  dir: string,
  hostname: string,
  options: EtcOptions,
  around: Surroundings = {},
): Record<string, string> {
  const sharesHost = options.network === 'host'
  const names = etcFilesOf(options)
  if (around.sameAs !== undefined) return filesOf(around.sameAs, names)
  const texts = {
    hosts: hostsText(hostname, options, around, sharesHost ? readText('/etc/hosts') : ''),
    hostname: `${hostname}\n`,
    'resolv.conf': resolverText(
      options,
      around,
      (options.network ?? 'none') === 'none' ? '' : hostResolver(around.isIsolated ?? false),
    ),
  }
  const mounted: Record<string, string> = {}
  for (const name of names) {
    const path = join(dir, name)
    writeFileSync(path, texts[name])
    chmodSync(path, 0o644) // whatever the umask: users inside read it
    mounted[`/etc/${name}`] = path
  }
  return mounted
}

/** systemd's resolver listens on a loopback address; it keeps a list of the servers that it asks. */
function hostResolver(isIsolated: boolean): string {
  const text = readText('/etc/resolv.conf')
  if (!isIsolated || !/^\s*nameserver\s+127\.0\.0\.53\b/m.test(text)) return text
  return readText('/run/systemd/resolve/resolv.conf') || text
}

const LOCAL_HOSTS = '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n'

function filesOf(dir: string, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [`/etc/${name}`, join(dir, name)]))
}

/** hosts(5). Pure. */
export function hostsText(
  hostname: string,
  { extraHosts = [], domainname }: EtcOptions,
  { addresses = [], hostNames = [hostname], gateway = '127.0.0.1' }: Surroundings,
  host: string,
): string {
  const extra = extraHosts.map((entry) => {
    const colon = entry.indexOf(':')
    const address = entry.slice(colon + 1)
    return `${address === 'host-gateway' ? gateway : address}\t${entry.slice(0, colon)}\n`
  })
  const own = addresses.length === 0 ? ['127.0.1.1'] : addresses
  const names = domainname === undefined ? [] : [`${hostname}.${domainname}`]
  const lines = own.map((address) => `${address}\t${[...names, ...hostNames].join(' ')}\n`)
  return [host === '' ? LOCAL_HOSTS : `${host.trimEnd()}\n`, ...extra, ...lines].join('')
}

/** resolv.conf(5): a network's own name servers win, else those of the options, else those of the host. Pure. */
export function resolverText(
  { dns = [], dnsSearch = [], dnsOptions = [] }: EtcOptions,
  { nameservers = [], searchDomains = [], isIsolated = false }: Surroundings,
  host: string,
): string {
  const ofHost = (keyword: RegExp) => host.split('\n').filter((line) => keyword.test(line))
  const reachable = ofHost(/^\s*nameserver\s/).filter(
    (line) => !isIsolated || !/\s(?:127\.|::1\b)/.test(line),
  )
  const servers = dns.length > 0 ? dns : nameservers
  const search = [...dnsSearch, ...searchDomains].filter((domain) => domain !== '.')
  const lines = [
    ...(dnsSearch.length + searchDomains.length > 0
      ? [search.length > 0 ? `search ${search.join(' ')}` : '']
      : ofHost(/^\s*(?:search|domain)\s/)),
    ...(servers.length > 0 ? servers.map((server) => `nameserver ${server}`) : reachable),
    ...(dnsOptions.length > 0 ? [`options ${dnsOptions.join(' ')}`] : ofHost(/^\s*options\s/)),
  ]
  return lines
    .filter((line) => line !== '')
    .map((line) => `${line.trim()}\n`)
    .join('')
}
