import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, hostname, machine, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { Command } from 'commander'
import type { LayerFormChoice, Store } from '#puller/index.ts'
import type { HostInfo, RuntimeInfo } from '#runner/index.ts'
import { inflaterOf } from '../inflater.ts'
import { formatTable } from '../output/format.ts'
import { print } from '../output/print.ts'
import { fillTemplate } from '../output/template.ts'
import { rootDir } from '../root-dir.ts'
import { whyNoNamespaces } from '../rootless/enter.ts'
import { layerOptions } from '../store.ts'
import { version } from '../version.ts'
import {
  type StoreOptions,
  withExamples,
  withLayerStoreOption,
  withStoreOptions,
} from './options.ts'

interface InfoOptions extends StoreOptions {
  readonly format: string
}

export function infoCommand(): Command {
  const command = new Command('info')
    .description('Show versions, the local store, and what this host can and cannot do')
    .option('-f, --format <format>', 'text, json, or a Go template', 'text')
  return withExamples(withLayerStoreOption(withStoreOptions(command)), [
    ['dray info', 'what is missing for dray run, and how to get it'],
    ["dray info --format '{{.Driver}} {{.CgroupVersion}} {{.host.runtime}}'", 'some facts of all'],
  ]).action(info)
}

async function info(options: InfoOptions): Promise<void> {
  const { readHostInfo } = await import('#runner/index.ts')
  const { inflaterInUse } = await import('#puller/index.ts')
  // The kernel loads modules when they are first tried: what it can do is asked after that.
  const store = await storeFacts(options, process.geteuid?.() === 0)
  const host = await readHostInfo(process.env.PATH, await whyNoNamespaces(rootDir(options.root)))
  const facts = {
    version: version(),
    node: process.version,
    inflater: inflaterInUse(inflaterOf()),
    store,
    host,
  }
  const { format } = options
  if (format === 'text') return print(text(facts))
  const all = { ...facts, ...dockerFacts(facts) }
  print(format === 'json' ? JSON.stringify(all, undefined, 2) : fillTemplate(format, all))
}

/** What scripts ask docker for, in its words. */
function dockerFacts({ store, host }: { readonly store: StoreFacts; readonly host: HostInfo }) {
  return {
    ServerVersion: version(),
    OSType: 'linux',
    Architecture: machine(),
    KernelVersion: host.kernel,
    Name: hostname(),
    NCPU: availableParallelism(),
    MemTotal: totalmem(),
    Driver: 'overlay',
    DockerRootDir: store.root,
    CgroupVersion: host.cgroups.mode === 'v2' ? '2' : '1',
    DefaultRuntime: host.runtime ?? '',
  }
}

interface StoreFacts {
  readonly root: string
  readonly layerStore: string
  /** Why new layers get this form. */
  readonly reason: string
  /** Why new layers can't have fs-verity; absent when they can. */
  readonly verityObstacle?: string | undefined
  readonly keepsOwners: boolean
}

async function storeFacts(options: InfoOptions, isRoot: boolean): Promise<StoreFacts> {
  const root = rootDir(options.root)
  const { form, reason, verityObstacle } = isRoot
    ? await layerFactsAt(root, options)
    : { form: 'dir', reason: ONLY_ROOT, verityObstacle: ONLY_ROOT }
  return { root, layerStore: form, reason, verityObstacle, keepsOwners: isRoot }
}

const ONLY_ROOT = 'only root can mount layers'

type LayerFacts = LayerFormChoice & Pick<StoreFacts, 'verityObstacle'>

/** Whether layers can be mounted is found out by trying: in the store, or where it would be made, which is left as it was. */
async function layerFactsAt(root: string, options: InfoOptions): Promise<LayerFacts> {
  const { openStore } = await import('#puller/index.ts')
  if (existsSync(root)) return await layerFacts(await openStore(root, layerOptions(options)))
  let place = dirname(root)
  while (!existsSync(place)) place = dirname(place)
  const dir = await mkdtemp(join(place, '.dray-info-'))
  try {
    return await layerFacts(await openStore(dir, layerOptions(options)))
  } finally {
    await rm(dir, { recursive: true })
  }
}

async function layerFacts(store: Store): Promise<LayerFacts> {
  const { chooseLayerForm, verityObstacle } = await import('#puller/index.ts')
  return { ...(await chooseLayerForm(store)), verityObstacle: await verityObstacle(store) }
}

function text({
  version,
  node,
  inflater,
  store,
  host,
}: {
  readonly version: string
  readonly node: string
  readonly inflater: string
  readonly store: StoreFacts
  readonly host: HostInfo
}): string {
  const rows = [
    ['dray', `${version} on Node ${node}`],
    ['store', store.root],
    [
      'layer store',
      `${store.layerStore}: ${store.reason}${store.keepsOwners ? '' : '; all files are owned by this user'}`,
    ],
    [
      'layer verity',
      store.verityObstacle === undefined
        ? 'possible: --layer-verity on gives it to new layers'
        : `no: ${store.verityObstacle}`,
    ],
    [
      'gzip layers',
      inflater === 'zlib'
        ? 'inflated by zlib; libisal2, if installed, takes half the time'
        : `inflated by ${inflater}`,
    ],
    ['kernel', `${host.kernel} ${host.architecture}`],
    ['user', userText(host)],
    ['cgroups', `${host.cgroups.mode}: ${host.cgroups.controllers.join(' ') || 'no controllers'}`],
    ['limits', host.cgroups.obstacle === undefined ? 'yes' : `no: ${host.cgroups.obstacle}`],
    ...host.runtimes.map(({ name, path, version, obstacle }) => [
      name,
      path === undefined
        ? 'not installed'
        : `${version ?? path}: ${obstacle ?? (name === host.runtime ? 'works, the default' : 'works')}`,
    ]),
    ...host.runtimes.flatMap(advisoryRows),
    ['overlay', overlay(host)],
    ['network', networkText(host)],
    ['seccomp', yes(host.seccomp)],
    ['user namespaces', yes(host.userNamespaces)],
    [
      'erofs',
      { none: 'no', plain: 'on block devices only', file: 'also on plain files' }[host.erofs],
    ],
    ['dray serve', 'nothing is missing'],
    ['dray pull, push', 'nothing is missing'],
    [
      'dray run',
      host.missing.run.length === 0
        ? 'nothing is missing'
        : `missing: ${host.missing.run.join('; ')}`,
    ],
  ]
  return formatTable(rows.map(([name = '', value = '']) => [name, value]))
}

function userText({ isRoot, isUserNamespace }: HostInfo): string {
  if (isUserNamespace) return 'not root; root of a user namespace, for containers'
  return isRoot ? 'root' : 'not root'
}

function networkText({ network, isRoot, isUserNamespace }: HostInfo): string {
  if (network !== 'none') return `${network}, by default`
  const advice = isRoot && !isUserNamespace ? 'iproute2 nftables' : 'passt (or slirp4netns)'
  return `none: apt-get install ${advice}`
}

/** Versions say little of what distributions have fixed in them. */
function advisoryRows({ name, advisories: { open, prevented } }: RuntimeInfo): string[][] {
  const kinds = [
    [open, 'by its version, unless the distribution closed them: update it'],
    [prevented, 'by its version, of no use to anybody here'],
  ] as const
  const found = kinds.filter(([ids]) => ids.length > 0)
  return found.map(([ids, what], at) => [
    at === 0 ? `${name} holes` : '',
    `${ids.join(' ')}: ${what}`,
  ])
}

function overlay({ overlay }: HostInfo): string {
  if (!overlay.supported) return 'no'
  if (overlay.layersOneByOne === undefined) return 'yes'
  return overlay.layersOneByOne
    ? 'yes, up to 500 layers'
    : 'yes, as many layers as fit one page of options'
}

function yes(value: boolean): string {
  return value ? 'yes' : 'no'
}
