import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { findPrograms, killAndWait } from '#runner/processes.ts'
import { makeBusyboxTree } from '../runner/support/busybox.ts'
import { dray, type RunningRegistry, startRegistryProcess } from '../support/dray.ts'
import { FIRST_SUB_ID, ordinaryUser } from '../support/ordinary-user.ts'

const user = ordinaryUser({ uid: 61_234, name: 'ranger', hasRanges: true })
const bare = ordinaryUser({ uid: 61_235, name: 'bare', hasRanges: false })
let registry: RunningRegistry
let image = ''
let dir = ''

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'dray-test-'))
  const data = join(dir, 'data')
  registry = await startRegistryProcess(['--data', data])
  image = `${registry.host}/busybox:1`
  const tree = makeBusyboxTree(join(dir, 'tree'))
  mkdirSync(join(tree, 'data'))
  writeFileSync(join(tree, 'data/file'), 'of the image\n')
  for (const name of ['data', 'data/file']) chownSync(join(tree, name), 1000, 50)
  execFileSync('mknod', [join(tree, 'null'), 'c', '1', '3'])
  const root = join(dir, 'store')
  for (const words of [
    ['import', tree, image, '--cmd', '["sh"]'],
    ['push', image],
  ]) {
    const { code, stderr } = await dray(words, { env: { DRAY_ROOT: root } })
    assert.equal(code, 0, stderr)
  }
})

after(async () => {
  await registry.stop()
  rmSync(dir, { recursive: true, force: true })
})

const none = ['--network', 'none'] as const

describe('an ordinary user with ranges of numbers', () => {
  it('pulls no layers that only root could mount, and says how they can be had', async () => {
    const { code, stderr } = await user.dray('pull', '-q', '--layer-store', 'erofs', image)
    assert.equal(code, 1)
    assert.match(stderr, /of form erofs .*only root can mount layers.* without --layer-store erofs/)
    assert.equal(await user.ok('images', '-q'), '')
  })

  it('pulls an image with its owners, and without devices, which only root may make', async () => {
    await user.ok('pull', image)
    const script = 'stat -c %u:%g /data /data/file; test -e /null || echo no device'
    const seen = await user.ok('run', '--rm', ...none, image, 'sh', '-c', script)
    assert.equal(seen, '1000:50\n1000:50\nno device')
  })

  it('is root in its containers, and itself outside; others inside are of its range', async () => {
    assert.equal(await user.ok('run', '--rm', ...none, image, 'id', '-u'), '0')
    for (const [wanted, uid] of [
      ['root', user.uid],
      ['app', FIRST_SUB_ID + 999],
    ] as const) {
      const words = ['run', '-d', '--name', `as-${wanted}`, '-u', wanted, ...none, image]
      await user.ok(...words, 'sleep', '1000')
      const pid = await user.ok('inspect', '-f', '{{.State.Pid}}', `as-${wanted}`)
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      assert.match(status, new RegExp(`^Uid:\\s+${uid}\\s`, 'm'))
      await user.ok('rm', '-f', `as-${wanted}`)
    }
  })

  it('is told which archive it may not read', async () => {
    const { stderr } = await user.dray('load', '-i', '/etc/shadow')
    assert.match(stderr, /^dray: cannot read \/etc\/shadow: EACCES/m)
  })

  it('creates, starts, looks into, stops and removes a container', async () => {
    await user.ok('create', '--name', 'life', ...none, image, 'sh', '-c', 'echo begun; sleep 1000')
    await user.ok('start', 'life')
    assert.equal(await user.ok('exec', 'life', 'cat', '/data/file'), 'of the image')
    assert.equal(await user.ok('logs', 'life'), 'begun')
    assert.match(await user.ok('top', 'life'), /sleep 1000/)
    await user.ok('exec', 'life', 'sh', '-c', 'echo shared >/dev/shm/file')
    const guest = ['run', '--rm', ...none, '--ipc', 'container:life', image]
    assert.equal(await user.ok(...guest, 'cat', '/dev/shm/file'), 'shared')
    assert.equal(await user.ok('ps', '--format', '{{.Names}}'), 'life')
    await user.ok('stop', '-t', '1', 'life')
    assert.match(await user.ok('ps', '-a', '--format', '{{.Status}}'), /^Exited \(137\)/)
    await user.ok('rm', 'life')
    assert.equal(await user.ok('ps', '-aq'), '')
  })

  it('keeps data in volumes, whose files it owns as far as root inside does', async () => {
    mkdirSync(join(user.home, 'bound'))
    chownSync(join(user.home, 'bound'), user.uid, user.uid)
    const script =
      'echo root >/b/root; echo app >/b/app; chown 1000 /b/app; stat -c %u:%g /data/file'
    const volumes = ['-v', 'named:/data', '-v', `${join(user.home, 'bound')}:/b`]
    const words = ['run', '--rm', ...none, ...volumes, image, 'sh', '-c', script]
    assert.equal(await user.ok(...words), '1000:50')
    const ownerOf = (name: string) => lstatSync(join(user.home, 'bound', name)).uid
    assert.deepEqual([ownerOf('root'), ownerOf('app')], [user.uid, FIRST_SUB_ID + 999])
  })

  it('commits what a container changed, also what it deleted and emptied', async () => {
    const script = 'rm -r /data; mkdir /data; rm /home/app/* /etc/group; chown 7:8 /tmp'
    await user.ok('run', '--name', 'changer', ...none, image, 'sh', '-c', script)
    await user.ok('commit', 'changer', 'changed:1')
    await user.ok('rm', 'changer')
    const look = 'ls /data; test -e /etc/group || echo gone; stat -c %u:%g /tmp'
    assert.equal(await user.ok('run', '--rm', ...none, 'changed:1', 'sh', '-c', look), 'gone\n7:8')
  })

  it('is told that nothing holds a container to limits', async () => {
    const limits = ['--memory', '64m', '--cpus', '1']
    const { code, stderr } = await user.dray('run', '--rm', ...none, ...limits, image, 'true')
    assert.equal(code, 0)
    assert.match(stderr, /nothing holds the container to limits.*no cgroup/)
    assert.match(await user.ok('info'), /^limits +no: .*no cgroup/m)
  })

  it('has a unit of its own systemd that starts containers at boot', async () => {
    assert.match(await user.ok('system', 'unit'), /^WantedBy=default\.target$/m)
    assert.equal(await user.ok('system', 'boot'), '')
  })

  it('finds its containers when what holds their namespaces was killed', async () => {
    await user.ok('run', '-d', '--name', 'held', ...none, image, 'sleep', '1000')
    await killAndWait(user.holder())
    assert.equal(await user.ok('exec', 'held', 'cat', '/data/file'), 'of the image')
    assert.match(await user.ok('ps', '--format', '{{.Status}}'), /^Up /)
  })

  it('takes a container for ended, and starts it anew, when its monitor was killed as well', async () => {
    const pid = Number(await user.ok('inspect', '-f', '{{.State.Pid}}', 'held'))
    const containers = join(user.store, 'containers')
    const id = await user.ok('inspect', '-f', '{{.Id}}', 'held')
    await killAndWait(Number(readFileSync(join(containers, id, 'monitor.pid'), 'utf8')))
    // What it held takes a moment to end.
    await eventually(async () =>
      assert.equal(await user.ok('inspect', '-f', '{{.State.ExitCode}}', 'held'), '-1'),
    )
    assert.equal(existsSync(`/proc/${pid}/exe`), false)
    await user.ok('start', 'held')
    assert.equal(await user.ok('exec', 'held', 'cat', '/data/file'), 'of the image')
    await user.ok('rm', '-f', 'held')
  })
})

describe('a network of an ordinary user', () => {
  for (const program of ['pasta', 'slirp4netns'] as const) {
    it(`publishes ports by ${program}, reaches no loopback device of the host, and ends with the container`, async (t) => {
      const ports = ['-p', '127.0.0.1::80', '-p', '5353/udp']
      const words = ['run', '-d', '--name', program, '--network', program, ...ports, image]
      const id = await user.ok(
        ...words,
        'sh',
        '-c',
        'echo served >/tmp/index; exec busybox httpd -f -p 80 -h /tmp',
      )
      const web = await user.ok('port', program, '80')
      assert.equal(
        await eventually(async () => (await fetch(`http://${web}/index`)).text()),
        'served\n',
      )
      const echo = await user.ok('port', program, '5353/udp')
      const server = echoInside(await user.ok('inspect', '-f', '{{.State.Pid}}', program))
      t.after(() => server.kill())
      assert.equal(await eventually(() => askByUdp(Number(echo.split(':')[1]), 'ping')), 'ping')
      const reach = `busybox wget -T 2 -qO- http://10.0.2.2:${registry.host.split(':')[1]}/v2/`
      const { code } = await user.dray('exec', program, 'sh', '-c', reach)
      assert.notEqual(code, 0)
      const netns = join(user.store, 'containers', id, 'netns')
      assert.equal((await findPrograms([program], netns)).length, 1)
      await user.ok('rm', '-f', program)
      assert.deepEqual(await findPrograms([program], netns), [])
    })
  }

  it('is the one of which info tells, and a bridge is refused with the others that there are', async () => {
    assert.match(await user.ok('info'), /^network +pasta, by default$/m)
    const { code, stderr } = await user.dray('run', '--rm', '--network', 'bridge', image, 'true')
    assert.equal(code, 125)
    assert.match(stderr, /only root can make: use --network pasta or slirp4netns, host or none/)
    const made = await user.dray('network', 'create', 'app')
    assert.equal(made.code, 1)
    assert.match(made.stderr, /network app is of bridges, which only root can make/)
    await user.ok('network', 'inspect', 'bridge') // from now on there is a record of it
    const pruned = await user.dray('network', 'prune')
    assert.deepEqual([pruned.code, pruned.stderr], [0, ''])
  })

  it('gives no port of root’s, nor one that is taken', async () => {
    const low = await user.dray('run', '--rm', '-p', '80:80', image, 'true')
    assert.match(low.stderr, /ports below 1024 are root's/)
    const taken = registry.host.split(':')[1]
    const other = await user.dray('run', '--rm', '-p', `127.0.0.1:${taken}:80`, image, 'true')
    assert.match(other.stderr, /something else listens there/)
    assert.equal(await user.ok('ps', '-aq'), '')
  })
})

/** Until what was just started answers. */
async function eventually<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (attempt === 20) throw error
      await delay(100)
    }
  }
}

const ECHO =
  "const s = require('dgram').createSocket('udp4'); s.on('message', (m, { port, address }) => s.send(m, port, address)); s.bind(5353)"

/** A server in the network of a process. */
function echoInside(pid: string) {
  return spawn('nsenter', [`--net=/proc/${pid}/ns/net`, process.execPath, '-e', ECHO], {
    stdio: 'ignore',
  })
}

/** By an address that isn't the loopback device's, through which slirp4netns, and pasta of 2023, give no answers. */
async function askByUdp(port: number, question: string): Promise<string> {
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  const host = addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address
  const socket = createSocket('udp4')
  try {
    const answer = once(socket, 'message', { signal: AbortSignal.timeout(1000) })
    socket.send(question, port, host)
    const [message] = await answer
    return String(message)
  } finally {
    socket.close()
  }
}

describe('an ordinary user without ranges', () => {
  it('is told which file lacks one, and how to get it', async () => {
    const { code, stderr } = await bare.dray('run', '--rm', image, 'true')
    assert.equal(code, 125)
    assert.match(stderr, /^dray: \/etc\/subuid has no range for bare.*usermod --add-subuids/)
    assert.match(await bare.ok('info'), /dray run +missing: \/etc\/subuid has no range for bare/)
  })

  it('pulls all the same, and is told that owners are lost', async () => {
    const { code, stderr } = await bare.dray('pull', image)
    assert.equal(code, 0)
    assert.match(stderr, /owners of files are not kept: \/etc\/subuid/)
  })
})
