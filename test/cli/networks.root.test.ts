import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { containerStore, SERVE_HELLO } from '../support/container-store.ts'
import { findPrograms } from '#runner/processes.ts'
import { LAUNCHER } from '../support/dray.ts'
import { tempDir } from '../support/temp-dir.ts'

const store = containerStore()
const { ok } = store

const bridgeOf = (network: string) => ok('network', 'inspect', '-f', '{{.Interface}}', network)
const isThere = (bridge: string) => existsSync(`/sys/class/net/${bridge}`)

/** As C libraries do: aardvark-dns doesn't listen for a moment whenever a container comes or goes. */
const lookUp = (name: string) =>
  `for i in $(seq 30); do busybox nslookup ${name} && exit; sleep 0.3; done; exit 1`

/** Those that are on their way, as the script that a test puts in front, too. */
const nameServers = () => findPrograms(['aardvark-dns', 'sh'], '/run/dray/dns')

const aardvark = () =>
  ['/usr/lib/podman', '/usr/libexec/podman', '/usr/bin']
    .map((dir) => join(dir, 'aardvark-dns'))
    .find((path) => existsSync(path)) ?? 'aardvark-dns'

/** As soon as somebody answers. */
async function fetchText(url: string): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await (await fetch(url, { headers: { connection: 'close' } })).text()
    } catch (error) {
      if (attempt === 100) throw error
      await delay(50)
    }
  }
}

describe('a container on several networks', () => {
  it('has an address on each, by the names it has there, and the ports by the first', async () => {
    await ok('network', 'create', '--subnet', '10.203.1.0/24', 'front')
    await ok('network', 'create', '--subnet', '10.203.2.0/24', '--internal', 'back')
    const front = [
      '--network',
      'front:ip=10.203.1.50,alias=site',
      '--network',
      'name=back,alias=api',
    ] as const
    await ok(
      'run',
      '-d',
      '--name',
      'web',
      ...front,
      '-p',
      '127.0.0.1::80',
      'busybox:1',
      ...SERVE_HELLO,
    )
    assert.equal(await store.inspect('web', '{{.NetworkSettings.IPAddress}}'), '10.203.1.50')
    const look = (network: string, name: string) =>
      ok('run', '--rm', '--network', network, 'busybox:1', 'sh', '-c', lookUp(name))
    assert.match(await look('front', 'site'), /10\.203\.1\.50/)
    assert.match(await look('back', 'api'), /10\.203\.2\.2/)
    await ok('run', '-d', '--name', 'store', '--network', 'back', 'busybox:1', 'sleep', '1000')
    assert.match(await ok('exec', 'web', 'sh', '-c', lookUp('store')), /10\.203\.2\./)
    await ok('rm', '-f', 'store')
    const port = (await ok('port', 'web', '80')).split(':')[1]
    assert.equal(await fetchText(`http://127.0.0.1:${port}/`), 'hello\n')
    const [guest] = Object.values(
      JSON.parse(await ok('network', 'inspect', '-f', '{{json .Containers}}', 'back')),
    )
    assert.equal((guest as { Name: string }).Name, 'web')
  })

  it('comes to one and leaves one while it runs, and its ports go with it', async () => {
    const port = (await ok('port', 'web', '80')).split(':')[1]
    await ok('network', 'create', '--subnet', '10.203.3.0/24', 'later')
    await ok('network', 'connect', '--ip', '10.203.3.7', '--alias', 'late', 'later', 'web')
    const look = `${lookUp('late')}`
    assert.match(
      await ok('run', '--rm', '--network', 'later', 'busybox:1', 'sh', '-c', look),
      /10\.203\.3\.7/,
    )
    await ok('network', 'disconnect', 'front', 'web')
    assert.equal(isThere(await bridgeOf('front')), false)
    const routes = await ok('exec', 'web', 'ip', 'route')
    assert.match(routes, /^default via 10\.203\.3\.1 dev eth2/m)
    assert.doesNotMatch(routes, /10\.203\.1\./)
    assert.equal(await fetchText(`http://127.0.0.1:${port}/`), 'hello\n')
    assert.match(await ok('exec', 'web', 'cat', '/etc/hosts'), /^10\.203\.3\.7\t/m)
    await ok('restart', '-t', '0', 'web')
    assert.equal(
      await store.inspect('web', '{{.NetworkSettings.Networks.later.IPAddress}}'),
      '10.203.3.7',
    )
    assert.equal((await store.dray('network', 'rm', 'later')).code, 1)
    await ok('rm', '-f', 'web')
    await ok('network', 'rm', 'front', 'back', 'later')
    assert.deepEqual(store.leftovers(), [])
  })

  it('that was on internal ones only leads outside by the first that can', async () => {
    await ok('network', 'create', '--internal', 'within')
    const args = [
      '--network',
      'within',
      '-p',
      '127.0.0.1::80',
      'busybox:1',
      ...SERVE_HELLO,
    ] as const
    await ok('run', '-d', '--name', 'web', ...args)
    const port = (await ok('port', 'web', '80')).split(':')[1]
    await ok('network', 'connect', 'bridge', 'web')
    assert.match(await ok('exec', 'web', 'ip', 'route'), /^default via .* dev eth1/m)
    assert.equal(await fetchText(`http://127.0.0.1:${port}/`), 'hello\n')
    await ok('rm', '-f', 'web')
    await ok('network', 'rm', 'within')
    assert.deepEqual(store.leftovers(), [])
  })

  it('gets no address that another has, or that the network lacks', async () => {
    await ok('network', 'create', '--subnet', '10.203.4.0/24', 'one')
    await ok('create', '--name', 'waits', '--network', 'one', '--ip', '10.203.4.1', 'busybox:1')
    const { code, stderr } = await store.dray('start', 'waits')
    assert.equal(code, 1)
    assert.match(stderr, /10\.203\.4\.1 is no address for containers/)
    await ok('rm', 'waits')
    await ok('network', 'rm', 'one')
  })
})

describe('a network with IPv6', () => {
  it('gives addresses, names and ways of it, and leads its ports', async () => {
    const subnets = ['--subnet', '10.203.5.0/24', '--subnet', 'fd00:d7a5::/64'] as const
    await ok('network', 'create', ...subnets, 'both')
    const serve =
      'mkdir /www; echo hello >/www/index.html; exec busybox httpd -f -p [::]:80 -h /www'
    const args = ['--network', 'both', '--ip6', 'fd00:d7a5::50', '-p', '80'] as const
    await ok('run', '-d', '--name', 'six', ...args, 'busybox:1', 'sh', '-c', serve)
    const port = (await ok('port', 'six', '80')).split(':').at(-1)
    for (const host of ['[fd00:d7a5::1]', '10.203.5.1', '127.0.0.1']) {
      assert.equal(await fetchText(`http://${host}:${port}/`), 'hello\n')
    }
    const look = `${lookUp('six').replace('nslookup', 'nslookup -type=aaaa')}`
    const inside = (script: string) =>
      ok('run', '--rm', '--network', 'both', 'busybox:1', 'sh', '-c', script)
    assert.match(await inside(look), /fd00:d7a5::50/)
    const fetched = await inside('busybox wget -qO- http://[fd00:d7a5::50]/; ip -6 route')
    assert.match(fetched, /^hello\n(?:.*\n)*default via fd00:d7a5::1 dev eth0/)
    assert.equal(
      await store.inspect('six', '{{.NetworkSettings.GlobalIPv6Address}}'),
      'fd00:d7a5::50',
    )
    const taken = await store.dray(
      'run',
      '--rm',
      '--network',
      'both:ip6=fd00:d7a5::50',
      'busybox:1',
      'true',
    )
    assert.match(taken.stderr, /other containers have address fd00:d7a5::50/)
    await ok('rm', '-f', 'six')
    await ok('network', 'rm', 'both')
    assert.deepEqual(store.leftovers(), [])
  })
})

describe('what the host has of a network', () => {
  it('is there as long as a container is on it', async () => {
    await ok('run', '-d', '--name', 'one', 'busybox:1', 'sleep', '1000')
    await ok('run', '-d', '--name', 'two', '-p', '127.0.0.1::80', 'busybox:1', 'sleep', '1000')
    const bridge = await bridgeOf('bridge')
    await ok('rm', '-f', 'one')
    assert.equal(isThere(bridge), true)
    const id = await store.inspect('two', '{{.Id}}')
    await ok('stop', 'two')
    assert.equal(isThere(bridge), false)
    assert.equal(readdirSync('/run/netns').includes(`dray-${id.slice(0, 16)}`), false)
    await ok('start', 'two')
    assert.equal(isThere(bridge), true)
    await ok('rm', '-f', 'two')
    assert.deepEqual(store.leftovers(), [])
  })

  it('has one name server, however long that takes to start', async (t) => {
    const dir = tempDir(t)
    const slow = `#!/bin/sh\nsleep 3\nexec ${aardvark()} "$@"\n`
    writeFileSync(join(dir, 'aardvark-dns'), slow, { mode: 0o755 })
    const { PATH } = process.env
    process.env.PATH = `${dir}:${PATH}`
    try {
      await ok('network', 'create', 'slow')
      for (const name of ['one', 'two'])
        await ok('run', '-d', '--name', name, '--network', 'slow', 'busybox:1', 'sleep', '1000')
    } finally {
      process.env.PATH = PATH
    }
    assert.equal((await nameServers()).length, 1)
    await ok('exec', 'one', 'sh', '-c', lookUp('two'))
    const names = join('/run/dray/dns', await bridgeOf('slow'))
    const { ino } = statSync(names)
    await ok('rm', '-f', 'two')
    assert.notEqual(statSync(names).ino, ino, 'it was written while the server may read it')
    await ok('rm', '-f', 'one')
    await ok('network', 'rm', 'slow')
    assert.deepEqual(store.leftovers(), [])
  })

  it('has a name server again when that ends because another network went', async (t) => {
    await ok('network', 'create', 'stays')
    await ok('network', 'create', 'goes')
    const dir = tempDir(t)
    const file = join('/run/dray/dns', await bridgeOf('goes'))
    // It ends as the real one does that reads while a file goes, and is replaced by that.
    const frail = `#!${process.execPath}
const fs = require('node:fs')
if (fs.existsSync('${dir}/seen')) process.execve('${aardvark()}', ['aardvark-dns', ...process.argv.slice(2)], process.env)
fs.writeFileSync('${dir}/seen', '')
const socket = require('node:dgram').createSocket('udp4')
process.on('SIGHUP', () => {
  if (!fs.existsSync('${file}')) process.exit(1)
  socket.bind(53, fs.readFileSync('${file}', 'utf8').split('\\n')[0])
})
fs.writeFileSync('/run/dray/dns/aardvark.pid', String(process.pid))
setInterval(() => {}, 1000)
`
    writeFileSync(join(dir, 'aardvark-dns'), frail, { mode: 0o755 })
    const start = (name: string, network: string) =>
      ok('run', '-d', '--name', name, '--network', network, 'busybox:1', 'sleep', '1000')
    const { PATH } = process.env
    process.env.PATH = `${dir}:${PATH}`
    try {
      await start('one', 'stays')
      await start('two', 'goes')
    } finally {
      process.env.PATH = PATH
    }
    await ok('rm', '-f', 'two')
    await ok('exec', 'one', 'sh', '-c', lookUp('one'))
    await ok('rm', '-f', 'one')
    await ok('network', 'rm', 'stays', 'goes')
    assert.deepEqual(store.leftovers(), [])
  })

  it('goes, whatever of it somebody took away before', async () => {
    await ok('network', 'create', 'other')
    await ok('run', '-d', '--name', 'other', '--network', 'other', 'busybox:1', 'sleep', '1000')
    await ok('run', '-d', '--name', 'one', 'busybox:1', 'sleep', '1000')
    const subnet = await ok('network', 'inspect', '-f', '{{.Subnet}}', 'bridge')
    execFileSync('nft', `delete element ip dray subnets { ${subnet} }`.split(' '))
    const bridge = await bridgeOf('bridge')
    await ok('rm', '-f', 'one')
    const rules = execFileSync('nft', ['list', 'table', 'ip', 'dray'], { encoding: 'utf8' })
    assert.ok(!rules.includes(bridge), rules)
    await ok('rm', '-f', 'other')
    assert.deepEqual(store.leftovers(), [])
  })

  it('is found again when somebody else mounts over the names of namespaces', () => {
    // In mounts of its own, where nobody has been yet.
    const script = `set -e
      while umount -l /run/netns 2>/dev/null; do :; done
      ${LAUNCHER} run -d --name below busybox:1 sleep 1000 >&2
      ip netns add dray-test-${process.pid}; ip netns delete dray-test-${process.pid}
      grep -c ' /run/netns ' /proc/self/mountinfo
      mount --rbind /run/netns /run/netns
      ${LAUNCHER} rm -f below >&2
      ${LAUNCHER} run --rm busybox:1 ls /sys/class/net`
    const argv = ['--mount', '--propagation', 'private', 'sh', '-c', script]
    const env = { ...process.env, DRAY_ROOT: store.root }
    const { stdout, stderr } = spawnSync('unshare', argv, { encoding: 'utf8', env })
    assert.equal(stdout, '1\neth0\nlo\n', stderr)
    assert.deepEqual(store.leftovers(), [])
  })

  it('is whole for every container, however many start and end at the same time', async () => {
    await ok('network', 'create', 'busy')
    const args = ['--rm', '--network', 'busy', '--network-alias', 'all', 'busybox:1']
    const rounds = Array.from({ length: 3 }, async () => {
      for (let round = 0; round < 2; round++) {
        await ok('run', ...args, 'sh', '-c', lookUp('all'))
      }
    })
    await Promise.all(rounds)
    assert.deepEqual(store.leftovers(), [])
  })
})
