import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parseMemory, parseVolume } from '#runner/index.ts'
import { wasKilledForMemory } from '#runner/kernel-log.ts'
import { parseDeviceRule } from '#runner/spec/devices.ts'
import { makeBusyboxTree, rootfsOf } from './support/busybox.ts'
import { leftovers, playground, runIn } from './support/run.ts'

describe('a volume', () => {
  it('is written through, or not when it is read-only', async (t) => {
    const place = playground(t)
    const host = join(place.dir, 'host')
    mkdirSync(host)
    writeFileSync(join(host, 'file'), 'host')
    const volumes = [parseVolume(`${host}:/rw`), parseVolume(`${host}:/ro:ro`)]
    const script = 'cat /ro/file; echo inside >/rw/new; echo x >/ro/other'
    const { stdout, stderr } = await runIn(place, script, { volumes })
    assert.equal(stdout, 'host')
    assert.match(stderr, /Read-only file system/)
    assert.equal(readFileSync(join(host, 'new'), 'utf8'), 'inside\n')
  })

  it('may be a file, and is made as a directory when it is absent', async (t) => {
    const place = playground(t)
    const file = join(place.dir, 'file')
    writeFileSync(file, 'content')
    const absent = join(place.dir, 'a/b')
    const volumes = [parseVolume(`${file}:/etc/new/file`), parseVolume(`${absent}:/made`)]
    const { stdout } = await runIn(place, 'cat /etc/new/file; touch /made/x', { volumes })
    assert.equal(stdout, 'content')
    assert.ok(statSync(join(absent, 'x')).isFile())
  })

  it('read-only is so below too', async (t) => {
    const place = playground(t)
    const host = join(place.dir, 'host')
    mkdirSync(join(host, 'sub'), { recursive: true })
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(host, 'sub')])
    try {
      const volumes = [parseVolume(`${host}:/ro:ro`)]
      const { stderr } = await runIn(place, 'touch /ro/sub/x', { volumes })
      assert.match(stderr, /Read-only file system/)
    } finally {
      execFileSync('umount', [join(host, 'sub')])
    }
  })

  it('may hold the command', async (t) => {
    const place = playground(t)
    const volumes = [parseVolume('/bin/busybox:/tool/echo:ro')]
    assert.equal((await runIn(place, ['/tool/echo', 'x'], { volumes })).stdout, 'x\n')
  })
})

describe('limits', () => {
  it('of memory kill what needs more', async (t) => {
    const place = playground(t)
    const hog = 'head -c 200m /dev/zero | tail -c 199m | wc -c'
    const memory = parseMemory('64m')
    const limited = await runIn(place, `${hog}; echo end`, { memory })
    assert.notEqual(limited.stdout, `${199 * 2 ** 20}\nend\n`)
    const before = new Date().toISOString()
    const direct = await runIn(place, 'hostname; exec tail -c 199m /dev/zero', { memory })
    assert.equal(direct.exitCode, 137)
    const id = direct.stdout.trim()
    assert.equal(wasKilledForMemory(id, before), true)
    assert.equal(wasKilledForMemory(id, new Date(Date.now() + 60_000).toISOString()), false)
    assert.equal(wasKilledForMemory('f'.repeat(12), before), false)
    assert.equal((await runIn(place, hog)).stdout, `${199 * 2 ** 20}\n`)
  })

  it('of processes stop a fork bomb', async (t) => {
    const script = 'for i in $(seq 40); do sleep 5 & done; echo all'
    const { stdout, stderr } = await runIn(playground(t), script, { pidsLimit: 20 })
    assert.equal(stdout, '')
    assert.match(stderr, /can't fork/)
  })

  it('of processors slow down', async (t) => {
    const place = playground(t)
    const script = 'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us || cut -d" " -f1 /sys/fs/cgroup/cpu.max'
    assert.equal((await runIn(place, script, { cpus: 0.5 })).stdout, '50000\n')
  })
})

describe('the network', () => {
  it('is a loopback device alone', async (t) => {
    const { stdout } = await runIn(playground(t), 'ip -o link | cut -d: -f2; ip route | wc -l')
    assert.equal(stdout.trim().replace(/\s+/g, ' '), 'lo 0')
  })

  it('is the host’s on request', async (t) => {
    const place = playground(t)
    const inside = await runIn(place, 'readlink /proc/self/ns/net', { network: 'host' })
    const outside = execFileSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' })
    assert.equal(inside.stdout, outside)
    assert.notEqual((await runIn(place, 'readlink /proc/self/ns/net')).stdout, outside)
  })
})

describe('the layers of a container', () => {
  it('may be 500', async (t) => {
    const place = playground(t)
    const layers = Array.from({ length: 499 }, (_, index) => {
      const dir = join(place.dir, 'layers', 'with-a-name-of-some-length'.repeat(3), String(index))
      mkdirSync(dir, { recursive: true })
      writeFileSync(join(dir, `file-${index}`), '')
      return dir
    })
    const rootfs = rootfsOf([makeBusyboxTree(join(place.dir, 'base')), ...layers])
    const { stdout } = await runIn(place, 'ls / | grep -c file-', { rootfs })
    assert.equal(stdout, '499\n')
    assert.deepEqual(leftovers(place), [])
  })
})

describe('a device', () => {
  it('that a rule names may be opened, no other, and without /dev/shm', async (t) => {
    const script =
      'mknod /named c 10 229; mknod /other c 10 237; (: </named); (: </other); [ -e /dev/shm ] || echo bare'
    const { stdout, stderr } = await runIn(playground(t), script, {
      deviceRules: [parseDeviceRule('c 10:229 rw')],
      capAdd: ['MKNOD'],
      ipc: 'none',
    })
    assert.equal(stdout, 'bare\n')
    assert.match(stderr, /\/other: Operation not permitted/)
    assert.doesNotMatch(stderr, /\/named: Operation not permitted/)
  })
})
