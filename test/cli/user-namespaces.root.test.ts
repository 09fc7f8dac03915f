import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { containerStore, SERVE_HELLO } from '../support/container-store.ts'

const store = containerStore()
const { ok } = store

const AUTO = ['--userns', 'auto'] as const

async function firstId(name: string): Promise<number> {
  const line = await store.inspect(name, '{{index .HostConfig.IDMappings.UidMap 0}}')
  return Number(line.split(':')[1])
}

describe('a container with a user namespace', () => {
  it('has ids of its own, and root in it is nobody outside', async () => {
    const map = await ok('run', '--rm', ...AUTO, 'busybox:1', 'cat', '/proc/self/uid_map')
    const [inside, host, size] = map.trim().split(/\s+/).map(Number)
    assert.deepEqual([inside, size], [0, 65_536])
    assert.ok((host ?? 0) > 65_536)
    await ok('run', '-d', '--name', 'one', ...AUTO, 'busybox:1', 'sleep', '1000')
    const pid = await store.inspect('one', '{{.State.Pid}}')
    const id = await firstId('one')
    assert.equal(statSync(`/proc/${pid}`).uid, id)
    const place = statSync(`/run/dray/rootfs/${await store.inspect('one', '{{.Id}}')}`)
    assert.deepEqual([place.mode & 0o777, place.uid, place.gid], [0o710, 0, id])
    await ok('rm', '-f', 'one')
  })

  it('sees the files of its image as its own, and keeps what it wrote with the ids it sees', async () => {
    const script =
      'mkdir /var/new && chown 1000:50 /var/new && rm /etc/group && ls -lnd / /etc /bin/sh /var/new'
    const run = ['--name', 'files', ...AUTO, 'busybox:1', 'sh', '-c', script] as const
    const lines = (await ok('run', ...run)).split('\n').map((line) => line.split(/\s+/).slice(2, 4))
    assert.deepEqual(lines, [
      ['0', '0'],
      ['0', '0'],
      ['0', '0'],
      ['1000', '50'],
    ])
    const upper = await store.inspect('files', '{{.GraphDriver.Data.UpperDir}}')
    const { uid, gid } = statSync(join(upper, 'var/new'))
    assert.deepEqual([uid, gid], [1000, 50])
    assert.match(await ok('diff', 'files'), /^D \/etc\/group$/m)
    await ok('rm', 'files')
  })

  it('begins again with what it wrote', async () => {
    await ok(
      'create',
      '--name',
      'again',
      ...AUTO,
      'busybox:1',
      'sh',
      '-c',
      'echo x >>/root/x; wc -l </root/x',
    )
    assert.equal(await ok('start', '-a', 'again'), '1')
    assert.equal(await ok('start', '-a', 'again'), '2')
    await ok('rm', 'again')
  })

  it('has none of the ids of another one, until that is removed', async () => {
    for (const name of ['first', 'second'])
      await ok('create', '--name', name, ...AUTO, 'busybox:1', 'true')
    const [a, b] = [await firstId('first'), await firstId('second')]
    assert.ok(Math.abs(a - b) >= 65_536)
    await ok('rm', 'first')
    assert.equal(existsSync(`/var/lib/dray/id-ranges/${a}-${a + 65_536}`), false)
    await ok('rm', 'second')
  })

  it('has the ids that are named', async () => {
    const args = [
      '--uidmap',
      '0:200000:1000',
      '--uidmap',
      '5000:300000',
      '--gidmap',
      '0:400000:1000',
    ]
    const script = 'cat /proc/self/uid_map /proc/self/gid_map'
    const text = await ok('run', '--rm', ...args, 'busybox:1', 'sh', '-c', script)
    const lines = text.split('\n').map((line) => line.trim().split(/\s+/).join(' '))
    assert.deepEqual(lines, ['0 200000 1000', '5000 300000 1', '0 400000 1000'])
    const outcome = await store.dray('run', '--rm', ...args, '-u', '4000', 'busybox:1', 'true')
    assert.equal(outcome.code, 125)
    assert.match(outcome.stderr, /user 4000 is not among the ids/)
  })

  it('shares volumes with others by the ids that they see', async () => {
    const write = 'echo x >/data/x; chown 1000:1000 /data/x'
    await ok('run', '--rm', ...AUTO, '-v', 'shared:/data', 'busybox:1', 'sh', '-c', write)
    await ok(
      'create',
      '--name',
      'other',
      ...AUTO,
      '-v',
      'shared:/data',
      'busybox:1',
      'stat',
      '-c',
      '%u %g',
      '/data/x',
    )
    assert.equal(await ok('start', '-a', 'other'), '1000 1000')
    await ok('rm', 'other')
    const seen = await ok(
      'run',
      '--rm',
      '-v',
      'shared:/data',
      'busybox:1',
      'stat',
      '-c',
      '%u',
      '/data/x',
    )
    assert.equal(seen, '1000')
    await ok('volume', 'rm', 'shared')
  })

  it('fills a new volume from the image with its owners', async () => {
    const args = ['run', '--rm', ...AUTO, '-v', 'filled:/etc', 'busybox:1'] as const
    assert.equal(await ok(...args, 'stat', '-c', '%u', '/etc/passwd'), '0')
    await ok('volume', 'rm', 'filled')
  })

  it("is nobody in the host's directories, unless their ids are mapped", async () => {
    const dir = join(store.root, 'host')
    mkdirSync(dir)
    chmodSync(dir, 0o755)
    writeFileSync(join(dir, 'file'), 'x')
    chownSync(join(dir, 'file'), 7, 7)
    const script = 'stat -c %u /data/file; touch /data/new || echo refused'
    const run = (volume: string) =>
      ok('run', '--rm', ...AUTO, '-v', volume, 'busybox:1', 'sh', '-c', script)
    assert.equal(await run(`${dir}:/data`), '65534\nrefused')
    assert.equal(await run(`${dir}:/data:idmap`), '7')
    assert.equal(statSync(join(dir, 'new')).uid, 0)
  })

  it('serves a low port on its network, and runs what exec runs', async () => {
    await ok(
      'run',
      '-d',
      '--name',
      'web',
      '-p',
      '127.0.0.1::80',
      ...AUTO,
      'busybox:1',
      ...SERVE_HELLO,
    )
    const port = (await ok('port', 'web', '80/tcp')).split(':')[1]
    const answer = execFileSync('curl', [
      '-s',
      '--retry',
      '20',
      '--retry-all-errors',
      '--retry-delay',
      '0',
      `http://127.0.0.1:${port}/`,
    ])
    assert.equal(String(answer), 'hello\n')
    assert.equal(await ok('exec', '-u', '1000', 'web', 'id', '-u'), '1000')
    assert.equal(await ok('exec', 'web', 'sh', '-c', 'echo >>/etc/hosts && id -u'), '0')
    await ok('rm', '-f', 'web')
    assert.deepEqual(store.leftovers(), [])
  })

  it('gives and takes files by the ids that it sees while it runs', async () => {
    await ok('run', '-d', '--name', 'live', ...AUTO, 'busybox:1', 'sleep', '1000')
    const file = join(store.root, 'file')
    writeFileSync(file, 'content')
    chownSync(file, 1000, 1000)
    await ok('cp', file, 'live:/root/mine')
    await ok('cp', '-a', file, 'live:/root/theirs')
    assert.equal(
      await ok('exec', 'live', 'stat', '-c', '%u', '/root/mine', '/root/theirs'),
      '0\n1000',
    )
    const back = join(store.root, 'back')
    await ok('cp', '-a', 'live:/root/theirs', back)
    assert.equal(statSync(back).uid, 1000)
    assert.equal(readFileSync(back, 'utf8'), 'content')
    await ok('rm', '-f', 'live')
  })

  it("refuses what needs the host's ids", async () => {
    for (const flags of [['--privileged'], ['--pid', 'host'], ['--network', 'host']]) {
      const { code, stderr } = await store.dray(
        'run',
        '--rm',
        ...AUTO,
        ...flags,
        'busybox:1',
        'true',
      )
      assert.equal(code, 125)
      assert.match(stderr, /--userns host/)
    }
  })
})
