import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { containerStore } from '../support/container-store.ts'

const store = containerStore()
const { ok } = store

// Another machine: a network namespace that a pair of interfaces leads to.
const OUTSIDE = `dray-test-${process.pid}`
const WIRE = `drt${process.pid}`
const TABLE = `inet dray_test_${process.pid}`
const HOST = '10.204.9.1'

const ip = (...args: readonly string[]) => execFileSync('ip', args)
const nft = (script: string) => execFileSync('nft', ['-f', '-'], { input: script })

/** What the other machine gets from a port of the host: undefined when nobody answers. */
function askFromOutside(port: number): string | undefined {
  const curl = ['curl', '-s', '--max-time', '3', `http://${HOST}:${port}/`]
  const { status, stdout } = spawnSync('ip', ['netns', 'exec', OUTSIDE, ...curl])
  return status === 0 ? String(stdout) : undefined
}

describe("a published port and the host's firewall", () => {
  const ports: number[] = []

  before(async () => {
    ip('netns', 'add', OUTSIDE)
    ip('link', 'add', WIRE, 'type', 'veth', 'peer', 'name', 'wire', 'netns', OUTSIDE)
    ip('address', 'add', `${HOST}/24`, 'dev', WIRE)
    ip('link', 'set', WIRE, 'up')
    ip('-n', OUTSIDE, 'address', 'add', '10.204.9.2/24', 'dev', 'wire')
    ip('-n', OUTSIDE, 'link', 'set', 'wire', 'up')
    const serve =
      'mkdir /www; echo hello >/www/index.html; busybox httpd -p 80 -h /www; busybox httpd -p 81 -h /www; sleep 1000'
    await ok('run', '-d', '--name', 'web', '-p', '80', '-p', '81', 'busybox:1', 'sh', '-c', serve)
    for (const inside of ['80', '81']) {
      ports.push(Number((await ok('port', 'web', inside)).split(':').at(-1)))
    }
    await ok('exec', 'web', 'sh', '-c', 'until busybox wget -qO- 127.0.0.1:81; do sleep 0.1; done')
  })

  after(() => {
    spawnSync('nft', ['delete', 'table', ...TABLE.split(' ')])
    spawnSync('ip', ['link', 'delete', WIRE])
    spawnSync('ip', ['netns', 'delete', OUTSIDE])
  })

  it('is open to everybody who reaches the host, unless a rule says otherwise', () => {
    for (const port of ports) assert.equal(askFromOutside(port), 'hello\n')
  })

  it('is listed with the container', async () => {
    const [first, second] = ports
    const listed = `0.0.0.0:${first}->80/tcp, 0.0.0.0:${second}->81/tcp`
    assert.equal(await ok('ps', '--format', '{{.Ports}}'), listed)
  })

  it('is closed by a rule of the host for what is forwarded, by the port that was called', () => {
    const [closed = 0, open = 0] = ports
    nft(`add table ${TABLE}
add chain ${TABLE} forward { type filter hook forward priority 10 ; }
add rule ${TABLE} forward iifname ${WIRE} meta l4proto tcp ct original proto-dst ${closed} drop`)
    assert.equal(askFromOutside(closed), undefined)
    assert.equal(askFromOutside(open), 'hello\n')
  })

  it('is closed by a policy to drop, and opened by a rule for the bridge', async () => {
    const [port = 0] = ports
    const bridge = await ok('network', 'inspect', '-f', '{{.Interface}}', 'bridge')
    const rules = (more: string) => `add table ${TABLE}
delete table ${TABLE}
add table ${TABLE}
add chain ${TABLE} forward { type filter hook forward priority -10 ; }
${more}add rule ${TABLE} forward iifname ${WIRE} drop`
    nft(rules(''))
    assert.equal(askFromOutside(port), undefined)
    nft(rules(`add rule ${TABLE} forward oifname "${bridge}" accept\n`))
    assert.equal(askFromOutside(port), 'hello\n')
    await ok('rm', '-f', 'web')
  })
})
