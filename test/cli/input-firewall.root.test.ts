import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, it } from 'node:test'
import { containerStore, SERVE_HELLO } from '../support/container-store.ts'
import { LAUNCHER } from '../support/dray.ts'

const store = containerStore()

// A host of its own, and another machine: two network namespaces, and a wire between them. The host has mounts of its own, too,
// since /sys shows the interfaces of one namespace only.
const HOST = startNamespace(
  'mount --rbind /sys/fs/cgroup /mnt; mount -t sysfs sysfs /sys; mount --move /mnt /sys/fs/cgroup',
)
const OTHER = startNamespace(':')
const ADDRESS = '10.204.10.1'
const RULES = `add table inet filter
flush table inet filter
add chain inet filter input { type filter hook input priority filter ; policy drop ; }
add rule inet filter input iifname lo accept
add rule inet filter input ct state established,related accept
`

type Namespace = ChildProcess

/** Namespaces that live as long as a process, which says when they are there. */
function startNamespace(script: string): Namespace {
  const command = `set -e; ${script}; ip link set lo up; echo there; exec sleep 1000`
  const stdio = ['ignore', 'pipe', 'inherit'] as const
  return spawn('unshare', ['--net', '--mount', 'sh', '-c', command], { stdio: [...stdio] })
}

const inside = ({ pid }: Namespace, command: readonly string[], input = '') =>
  spawnSync('nsenter', ['-t', String(pid), '-n', '-m', ...command], {
    input,
    encoding: 'utf8',
    env: { ...process.env, DRAY_ROOT: store.root },
  })

function dray(...args: readonly string[]): string {
  const { status, stdout, stderr } = inside(HOST, [LAUNCHER, ...args])
  assert.equal(status, 0, stderr)
  return stdout.trim()
}

/** Runs a server of the container on a host whose firewall drops what isn't allowed. @returns the port of the host */
function serve(name: string, ...flags: readonly string[]): number {
  dray('run', '-d', '--name', name, ...flags, 'busybox:1', ...SERVE_HELLO)
  dray('exec', name, 'sh', '-c', 'until busybox wget -qO- 127.0.0.1; do sleep 0.1; done')
  return Number(dray('port', name, '80').split(':').at(-1))
}

/** What a namespace gets from a port of the host: empty when nobody answers. */
const ask = (namespace: Namespace, port: number, host = ADDRESS) =>
  inside(namespace, ['curl', '-sg', '--max-time', '2', `http://${host}:${port}/`]).stdout

function allow(rule: string): void {
  const input = `${RULES}${rule === '' ? '' : `add rule inet filter input ${rule} accept\n`}`
  assert.equal(inside(HOST, ['nft', '-f', '-'], input).stderr, '')
}

const proxies = () => spawnSync('pgrep', ['-af', 'socat -lp dray-'], { encoding: 'utf8' }).stdout

describe('a published port and a firewall that drops what comes in', () => {
  before(async () => {
    for (const { stdout } of [HOST, OTHER]) if (stdout !== null) await once(stdout, 'data')
    const wire = ['link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire']
    assert.equal(inside(HOST, ['ip', ...wire, 'netns', String(OTHER.pid)]).stderr, '')
    for (const [namespace, last] of [
      [HOST, 1],
      [OTHER, 2],
    ] as const) {
      inside(namespace, ['ip', 'address', 'add', `10.204.10.${last}/24`, 'dev', 'wire'])
      inside(namespace, ['ip', 'link', 'set', 'wire', 'up'])
    }
    // pasta looks for the interface that leads outside.
    inside(HOST, ['ip', 'route', 'add', 'default', 'via', '10.204.10.2'])
    allow('')
  })

  after(() => {
    for (const namespace of [HOST, OTHER]) namespace.kill()
  })

  it('is closed, but to the host itself, until a rule for input lets it in', () => {
    const port = serve('web', '-p', '127.0.0.1::80', '-p', '80')
    assert.equal(ask(OTHER, port), '')
    assert.equal(ask(HOST, port, '127.0.0.1'), 'hello\n')
    allow(`tcp dport ${port}`)
    assert.equal(ask(OTHER, port), 'hello\n')
    allow('')
    const id = dray('inspect', '-f', '{{.Id}}', 'web')
    assert.equal(proxies().split(id).length - 1, 1, 'the port that is for the host alone has none')
    dray('stop', 'web')
    assert.ok(!proxies().includes(id), 'ends with the container')
    dray('rm', 'web')
  })

  it('is led past it by the kernel when that is asked for', () => {
    const port = serve('past', '-p', '80', '--publish-by', 'kernel')
    assert.equal(ask(OTHER, port), 'hello\n')
    dray('rm', '-f', 'past')
  })

  it('is led again after somebody flushed the host’s rules, by network reload and for whoever starts next', () => {
    const flush = () => {
      assert.equal(inside(HOST, ['nft', 'flush', 'ruleset']).stderr, '')
      allow('')
    }
    const port = serve('flushed', '-p', '80', '--publish-by', 'kernel')
    flush()
    assert.equal(ask(OTHER, port), '')
    assert.equal(dray('network', 'reload', '--all'), dray('inspect', '-f', '{{.Id}}', 'flushed'))
    assert.equal(ask(OTHER, port), 'hello\n')
    flush()
    const next = serve('next', '-p', '80', '--publish-by', 'kernel')
    assert.equal(ask(OTHER, next), 'hello\n')
    dray('network', 'reload', 'flushed')
    assert.equal(ask(OTHER, port), 'hello\n')
    dray('rm', '-f', 'flushed', 'next')
    dray('run', '--name', 'alone', '--network', 'none', 'busybox:1', 'true')
    const { status, stderr } = inside(HOST, [LAUNCHER, 'network', 'reload', 'alone'])
    assert.match(stderr, /alone is not running/)
    assert.equal(status, 1)
    dray('rm', 'alone')
  })

  it('is closed as well where iptables-legacy drops, whose rules nft does not see', () => {
    inside(HOST, ['nft', 'delete', 'table', 'inet', 'filter'])
    const legacy = (...rule: readonly string[]) =>
      assert.equal(inside(HOST, ['iptables-legacy', '-w', ...rule]).stderr, '')
    for (const rule of ['-P INPUT DROP', '-A INPUT -i lo -j ACCEPT']) legacy(...rule.split(' '))
    legacy('-A', 'INPUT', '-m', 'conntrack', '--ctstate', 'ESTABLISHED', '-j', 'ACCEPT')
    const port = serve('old', '-p', '80')
    assert.equal(ask(OTHER, port), '')
    legacy('-A', 'INPUT', '-p', 'tcp', '--dport', String(port), '-j', 'ACCEPT')
    assert.equal(ask(OTHER, port), 'hello\n')
    dray('rm', '-f', 'old')
    for (const rule of ['-P INPUT ACCEPT', '-F INPUT']) legacy(...rule.split(' '))
    allow('')
  })

  it('carries datagrams, and answers to whoever asked', () => {
    const ofHost = ['/usr:/usr', '/usr/lib:/lib', '/usr/lib64:/lib64'].map((dirs) => `-v${dirs}:ro`)
    const echo = ['/usr/bin/socat', 'UDP4-LISTEN:7,fork', 'PIPE']
    dray('run', '-d', '--name', 'echo', '-p', '7/udp', ...ofHost, 'busybox:1', ...echo)
    const port = Number(dray('port', 'echo', '7/udp').split(':').at(-1))
    const talk = () =>
      inside(OTHER, ['socat', '-t', '1', '-', `UDP4:${ADDRESS}:${port}`], 'hi\n').stdout
    assert.equal(talk(), '')
    allow(`udp dport ${port}`)
    assert.equal(talk(), 'hi\n')
    dray('rm', '-f', 'echo')
  })

  it('is at ::1 of the host, and moves with the container to another network', () => {
    allow('')
    dray('network', 'create', 'other')
    const port = serve('six', '-p', '[::1]::80')
    assert.equal(ask(HOST, port, '[::1]'), 'hello\n')
    dray('network', 'connect', 'other', 'six')
    dray('network', 'disconnect', 'bridge', 'six')
    assert.equal(ask(HOST, port, '[::1]'), 'hello\n')
    dray('rm', '-f', 'six')
  })

  it('is pasta’s where that makes the network, and a rule for input lets it in', () => {
    allow('')
    const port = serve('alone', '--network', 'pasta', '-p', '80')
    assert.equal(ask(OTHER, port), '')
    allow(`tcp dport ${port}`)
    assert.equal(ask(OTHER, port), 'hello\n')
    dray('rm', '-f', 'alone')
  })
})
