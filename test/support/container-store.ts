import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { makeBusyboxTree } from '../runner/support/busybox.ts'
import { dray, LAUNCHER, type Outcome } from './dray.ts'
import { canRunHere, drayHere } from './dray-here.ts'

/**
 * A local store with the image `busybox:1`, for all tests of a file, driven by the program as users have it: what runs something
 * before the user's eyes is a process of its own, and all else is done here (see dray-here.ts).
 */
export interface ContainerStore {
  readonly root: string
  /** Runs a command on the store. */
  dray(...args: readonly string[]): Promise<Outcome>
  /** Runs a command that must succeed. @returns what it prints, without white space around */
  ok(...args: readonly string[]): Promise<string>
  /** What `inspect` says of a container. */
  inspect(name: string, template: string): Promise<string>
  /** Starts a command and leaves it running. */
  start(...args: readonly string[]): ReturnType<typeof spawn>
  /** What containers have left on the host. */
  leftovers(): string[]
}

/** What serves `hello` on port 80, after the image in the words of `run`. */
export const SERVE_HELLO = [
  ...['sh', '-c'],
  'mkdir /www; echo hello >/www/index.html; exec busybox httpd -f -p 80 -h /www',
] as const

/** Makes the store before the tests of a file, and removes it with all its containers after them. */
export function containerStore(): ContainerStore {
  let dir = ''
  const env = () => ({ DRAY_ROOT: join(dir, 'store') })
  const store: ContainerStore = {
    get root() {
      return join(dir, 'store')
    },
    dray: (...args) => (canRunHere(args) ? drayHere(args, env()) : dray(args, { env: env() })),
    async ok(...args) {
      const { code, stdout, stderr } = await store.dray(...args)
      if (code !== 0) throw new Error(`dray ${args.join(' ')}: ${code} ${stderr}`)
      return stdout.trim()
    },
    inspect: (name, template) => store.ok('inspect', '-f', template, name),
    start: (...args) =>
      spawn(LAUNCHER, [...args], {
        env: { ...process.env, ...env() },
        stdio: ['pipe', 'pipe', 'pipe'],
      }),
    leftovers: () => leftovers(store.root),
  }
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'dray-test-'))
    const tree = makeBusyboxTree(join(dir, 'tree'))
    await store.ok('import', tree, 'busybox:1', '--cmd', '["sh"]')
  })
  after(async () => {
    const ids = await store.ok('ps', '-aq')
    if (ids !== '') await store.ok('rm', '-f', ...ids.split('\n'))
    const left = leftovers(store.root)
    rmSync(dir, { recursive: true, force: true })
    assert.deepEqual(left, [])
  })
  return store
}

const ID_RANGES = '/var/lib/dray/id-ranges'

function leftovers(root: string): string[] {
  const names = (dir: string) => (existsSync(dir) ? readdirSync(dir) : [])
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  return [
    ...names(join(root, 'containers')).map((name) => `container ${name}`),
    ...names(join(root, 'container-names'))
      .filter((name) => name !== '.lock')
      .map((name) => `name ${name}`),
    ...mounts.filter((line) => line.includes(` ${root}/`)),
    ...mounts.filter((line) => line.includes(' /run/dray/rootfs/') && line.includes(root)),
    ...names(ID_RANGES)
      .filter((name) => name !== '.lock' && readlinkSync(join(ID_RANGES, name)).startsWith(root))
      .map((name) => `ids ${name}`),
    ...names(join(root, 'networks'))
      .filter((name) => name.endsWith('.json'))
      .flatMap((name) => leftOfNetwork(join(root, 'networks', name))),
  ]
}

/** What the host has of a network. */
function leftOfNetwork(record: string): string[] {
  const bridge = String(JSON.parse(readFileSync(record, 'utf8')).interface)
  const rules = ['ip', 'ip6']
    .map(
      (family) => spawnSync('nft', ['list', 'table', family, 'dray'], { encoding: 'utf8' }).stdout,
    )
    .join('')
  return [
    ...(existsSync(`/sys/class/net/${bridge}`) ? [`interface ${bridge}`] : []),
    ...(existsSync(`/run/dray/dns/${bridge}`) ? [`names of ${bridge}`] : []),
    ...(rules.includes(bridge) ? [`rules for ${bridge}`] : []),
  ]
}
