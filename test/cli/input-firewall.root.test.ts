import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { containerStore, SERVE_HELLO } from '../support/container-store.ts'
import { LAUNCHER } from '../support/dray.ts'

const store = containerStore()

// A host of its own, and another machine: two network namespaces, and a wire between them.
const HOST = `dray-host-${process.pid}`
const OTHER = `dray-other-${process.pid}`
const ADDRESS = '10.204.10.1'
const RULES = `add table inet filter
flush table inet filter
add chain inet filter input { type filter hook input priority filter ; policy drop ; }
add rule inet filter input iifname lo accept
add rule inet filter input ct state established,related accept
`

const ip = (...args: readonly string[]) => execFileSync('ip', args)

const inside = (namespace: string, ...command: readonly string[]) =>
  spawnSync('ip', ['netns', 'exec', namespace, ...command], {
    encoding: 'utf8',
    env: { ...process.env, DRAY_ROOT: store.root },
  })

function dray(...args: readonly string[]): string {
  const { status, stdout, stderr } = inside(HOST, LAUNCHER, ...args)
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
const ask = (namespace: string, port: number, host = ADDRESS) =>
  inside(namespace, 'curl', '-sg', '--max-time', '2', `http://${host}:${port}/`).stdout

function allow(rule: string): void {
  const input = `${RULES}${rule === '' ? '' : `add rule inet filter input ${rule} accept\n`}`
  execFileSync('ip', ['netns', 'exec', HOST, 'nft', '-f', '-'], { input })
}

const proxies = () => spawnSync('pgrep', ['-af', 'socat -lp dray-'], { encoding: 'utf8' }).stdout

describe('a published port and a firewall that drops what comes in', () => {
  before(() => {
    for (const namespace of [HOST, OTHER]) ip('netns', 'add', namespace)
    ip('-n', HOST, 'link', 'set', 'lo', 'up')
    ip('-n', HOST, 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', OTHER)
    for (const [namespace, last] of [
      [HOST, 1],
      [OTHER, 2],
    ] as const) {
      ip('-n', namespace, 'address', 'add', `10.204.10.${last}/24`, 'dev', 'wire')
      ip('-n', namespace, 'link', 'set', 'wire', 'up')
    }
    allow('')
  })

  after(() => {
    for (const namespace of [HOST, OTHER]) spawnSync('ip', ['netns', 'delete', namespace])
  })

  it('is closed, but to the host itself, until a rule for input lets it in', () => {
    const port = serve('web', '-p', '80')
    assert.equal(ask(OTHER, port), '')
    assert.equal(ask(HOST, port, '127.0.0.1'), 'hello\n')
    allow(`tcp dport ${port}`)
    assert.equal(ask(OTHER, port), 'hello\n')
    allow('')
    assert.equal(ask(OTHER, port), '')
    const id = dray('inspect', '-f', '{{.Id}}', 'web')
    assert.ok(proxies().includes(id))
    dray('stop', 'web')
    assert.ok(!proxies().includes(id), 'ends with the container')
    dray('rm', 'web')
  })

  it('is led past it by the kernel when that is asked for', () => {
    const port = serve('past', '-p', '80', '--publish-by', 'kernel')
    assert.equal(ask(OTHER, port), 'hello\n')
    dray('rm', '-f', 'past')
  })

  it('is led by the kernel as long as nobody else is to reach it', () => {
    const port = serve('own', '-p', '127.0.0.1::80')
    assert.equal(ask(HOST, port, '127.0.0.1'), 'hello\n')
    assert.equal(proxies().includes(dray('inspect', '-f', '{{.Id}}', 'own')), false)
    dray('rm', '-f', 'own')
  })

  it('carries datagrams, and answers to whoever asked', () => {
    const flags = ['-d', '--name', 'echo', '-p', '7/udp']
    dray('run', ...flags, 'busybox:1', 'busybox', 'udpsvd', '0', '7', 'head', '-n', '1')
    const port = Number(dray('port', 'echo', '7/udp').split(':').at(-1))
    const talk = () =>
      inside(OTHER, 'sh', '-c', `echo hi | socat -t 2 - UDP4:${ADDRESS}:${port}`).stdout
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

  for (const program of ['pasta', 'slirp4netns']) {
    it(`is ${program}'s where that makes the network, and a rule for input lets it in`, () => {
      const port = serve(program.slice(0, 5), '--network', program, '-p', '80')
      assert.equal(ask(OTHER, port), '')
      allow(`tcp dport ${port}`)
      assert.equal(ask(OTHER, port), 'hello\n')
      dray('rm', '-f', program.slice(0, 5))
      allow('')
    })
  }
})
