import { readFileSync } from 'node:fs'
import type { PortMapping, PublishBy } from './model.ts'
import { legacyRules, nftJson } from './tools.ts'

/** What `nft -j` lists, as far as it is looked at. */
export interface Listing {
  readonly nftables: readonly {
    readonly chain?: {
      readonly family: string
      readonly table: string
      readonly name: string
      readonly hook?: string
      readonly type?: string
      readonly policy?: string
    }
    readonly rule?: { readonly expr: readonly Readonly<Record<string, unknown>>[] }
  }[]
}

const LOOPBACK = /^127\./
/** What a rule may do besides, with every packet. */
const ASIDE = ['counter', 'log']

/**
 * Decides for each port who takes its connections. What the kernel leads to a container goes past the host's rules for input;
 * where those drop all that they don't accept, a process listens instead, so that they decide. Nothing leaves the host from ::1,
 * so that a process listens there in any case.
 *
 * @param by overrules it, but for ::1
 * @throws NETWORK_FAILED
 */
export async function choosePublishers(
  ports: readonly PortMapping[],
  by: PublishBy | undefined,
  searchPath: string | undefined,
): Promise<PortMapping[]> {
  const isOpen = ({ hostIp = '' }: PortMapping) => !LOOPBACK.test(hostIp) && hostIp !== '::1'
  const isProxied = by === undefined && ports.some(isOpen) && (await filtersInput(searchPath))
  return ports.map((port) => {
    const proxied = port.hostIp === '::1' || by === 'proxy' || (isProxied && isOpen(port))
    return proxied ? { ...port, isProxied: true } : port
  })
}

/** Whether the host drops what comes in unless a rule of its own accepts it. */
async function filtersInput(searchPath: string | undefined): Promise<boolean> {
  return (await filtersByNft(searchPath)) || (await filtersByLegacy(searchPath))
}

/** nft doesn't see the rules of iptables-legacy. Those that can't be read are taken for some that drop. */
async function filtersByLegacy(searchPath: string | undefined): Promise<boolean> {
  for (const family of ['ip', 'ip6'] as const) {
    if (!hasLegacyFilter(family)) continue
    const rules = await legacyRules(searchPath, family)
    if (rules === undefined || dropsByDefault(rules)) return true
  }
  return false
}

/** Whether somebody has made the table that holds chains for input. */
function hasLegacyFilter(family: 'ip' | 'ip6'): boolean {
  try {
    const names = readFileSync(`/proc/self/net/${family}_tables_names`, 'latin1')
    return names.split('\n').includes('filter')
  } catch {
    return false // a kernel without them
  }
}

async function filtersByNft(searchPath: string | undefined): Promise<boolean> {
  const chains = inputChains((await nftJson(searchPath, ['list', 'chains'])) as Listing)
  for (const { family, table, name, policy } of chains) {
    if (policy === 'drop') return true
    const listing = await nftJson(searchPath, ['list', 'chain', family, table, name])
    if (endsInDrop(listing as Listing)) return true
  }
  return false
}

/** The chains that see what comes in. Pure. */
export function inputChains({ nftables }: Listing) {
  const chains = nftables.map(({ chain }) => chain).filter((chain) => chain !== undefined)
  return chains.filter(({ hook, type }) => hook === 'input' && type === 'filter')
}

/** Whether the last rule of a chain drops or rejects whatever comes to it. Pure. */
export function endsInDrop({ nftables }: Listing): boolean {
  const rules = nftables.map(({ rule }) => rule).filter((rule) => rule !== undefined)
  const words = (rules.at(-1)?.expr ?? []).filter((word) => !ASIDE.includes(keyOf(word)))
  const [verdict, ...more] = words
  if (verdict === undefined || more.length > 0) return false
  const target = verdict.xt as { readonly name?: string } | undefined
  return ['drop', 'reject'].includes((target?.name ?? keyOf(verdict)).toLowerCase())
}

/** Whether what iptables-save says of the table `filter` drops or rejects what comes in and isn't accepted. Pure. */
export function dropsByDefault(saved: string): boolean {
  if (/^:INPUT DROP /m.test(saved)) return true
  const last = saved.split('\n').findLast((line) => line.startsWith('-A INPUT '))
  return /^-A INPUT(?: -m comment --comment (?:"[^"]*"|\S+))? -j (?:DROP|REJECT)\b/.test(last ?? '')
}

function keyOf(word: object): string {
  return Object.keys(word)[0] ?? ''
}
