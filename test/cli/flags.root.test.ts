import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { describe, it } from 'node:test'
import { until } from '../runner/support/run.ts'
import { containerStore } from '../support/container-store.ts'

const store = containerStore()
const { ok } = store

const ALONE = ['--network', 'none'] as const

describe('a container that takes a name from another', () => {
  const script = 'cat /proc/sys/kernel/domainname; hostname -f; echo x >/file; echo bad >&2'

  it('replaces it, unless it could not be made itself', async () => {
    const old = await ok('run', '-d', ...ALONE, '--name', 'one', 'busybox:1', 'sleep', '1000')
    const bad = ['--replace', '--name', 'one', '--hostname', 'a b', 'busybox:1']
    assert.match((await store.dray('run', '-d', ...bad)).stderr, /invalid hostname/)
    assert.equal(await store.inspect('one', '{{.Id}} {{.State.Running}}'), `${old} true`)
    const names = ['--hostname', 'box', '--domainname', 'example.org', '--annotation', 'org.x=a=b']
    const words = ['--name', 'one', ...names, 'busybox:1', 'sh', '-c', script]
    await ok('run', '--replace', ...ALONE, ...words)
    assert.notEqual(await store.inspect('one', '{{.Id}}'), old)
    const { annotations } = JSON.parse(
      readFileSync(await store.inspect('one', '{{.OCIConfigPath}}'), 'utf8'),
    )
    assert.deepEqual(annotations, { 'org.x': 'a=b' })
    assert.equal(await ok('logs', 'one'), 'example.org\nbox.example.org')
  })

  it('has a size when it is asked for', async () => {
    const size = await ok('inspect', '-s', '-f', '{{.SizeRw}}', 'one')
    assert.ok(Number(size) > 0, size)
    const whole = await ok('inspect', '-s', '-t', 'container', '-f', '{{.SizeRootFs}}', 'one')
    assert.ok(Number(whole) > Number(size) + 500_000, whole) // with busybox
    assert.equal(JSON.parse(await ok('inspect', 'one'))[0].SizeRw, undefined)
  })
})

describe('what a container has of the host', () => {
  it('is what was asked for', async (t) => {
    process.env.HOST_ONLY = 'here'
    t.after(() => delete process.env.HOST_ONLY)
    const flags = ['--tz', 'Asia/Tokyo', '--no-hosts', '--env-host', '--read-only']
    const script =
      'date +%Z; test -e /etc/hosts || echo none; echo $HOST_ONLY; touch /run/x /tmp/x /var/tmp/x; touch /x'
    const words = [...flags, '--read-only-tmpfs', 'busybox:1', 'sh', '-c', script]
    const { code, stdout } = await store.dray('run', '--rm', ...ALONE, ...words)
    assert.equal(stdout, 'JST\nnone\nhere\n')
    assert.equal(code, 1)
  })

  it('lasts as long as it may, and its image no longer', async () => {
    await ok('tag', 'busybox:1', 'busybox:brief')
    const words = ['--timeout', '1', 'busybox:brief', 'sleep', '1000']
    const { code, stderr } = await store.dray('run', '--rmi', ...ALONE, ...words)
    assert.equal(code, 255)
    assert.match(stderr, /its time was up/)
    assert.equal(await ok('images', '-q', 'busybox:brief'), '')
    assert.notEqual(await ok('images', '-q', 'busybox:1'), '')
  })
})

describe('a container whose id is in a file', () => {
  it('runs commands, and tells what it changed, which is nothing at first', async () => {
    const file = `${store.root}/made.id`
    await ok(
      'run',
      '-d',
      ...ALONE,
      '--cidfile',
      file,
      '--name',
      'made',
      'busybox:1',
      'sleep',
      '1000',
    )
    assert.equal(await ok('diff', 'made'), '')
    const groups = ['grep', 'Groups', '/proc/self/status'] as const
    assert.match(await ok('exec', '-u', '12:34', 'made', ...groups), /^Groups:\s34$/)
    await ok('exec', '--cidfile', file, 'sh', '-c', 'echo >/new; rm /etc/group')
    assert.equal(await ok('diff', 'made'), 'C /etc\nD /etc/group\nA /new')
    assert.deepEqual(JSON.parse(await ok('diff', '--format', 'json', 'made')), {
      ...{ changed: ['/etc'], added: ['/new'], deleted: ['/etc/group'] },
    })
    await ok('rm', '-f', 'made')
    rmSync(file)
  })
})

describe('a container in the foreground', () => {
  it('is connected to the streams that were named', async () => {
    const script = 'echo out; echo err >&2'
    const words = ['--name', 'two', '-a', 'stderr', 'busybox:1', 'sh', '-c', script]
    const outcome = await store.dray('run', ...ALONE, ...words)
    assert.deepEqual(outcome, { code: 0, stdout: '', stderr: 'err\n' })
  })

  it('is made with streams that start -a is connected to', async () => {
    const words = ['--name', 'made', '-a', 'stdout', '-a', 'STDERR', 'busybox:1']
    await ok('create', ...ALONE, ...words, 'sh', '-c', 'echo out; echo err >&2; exit 3')
    const outcome = await store.dray('start', '-a', 'made')
    assert.deepEqual(outcome, { code: 3, stdout: 'out\n', stderr: 'err\n' })
    assert.match((await store.dray('create', '-a', 'all', 'busybox:1')).stderr, /-a, --attach/)
    await ok('rm', 'made')
  })

  it('is told at once where no directory can be made for a volume', async () => {
    const words = ['--rm', '-v', '/proc/x/y:/m', 'busybox:1']
    const { code, stderr } = await store.dray('run', ...ALONE, ...words)
    assert.equal(code, 125)
    assert.match(stderr, /^dray: cannot use \/proc\/x\/y as a volume: ENOENT/)
  })

  it('gets no signals with --sig-proxy=false', async () => {
    const words = ['--name', 'three', 'busybox:1', 'sh', '-c', 'echo up; sleep 1000']
    const child = store.start('run', '--rm', '--sig-proxy=false', ...ALONE, ...words)
    await once(child.stdout ?? child, 'data')
    child.kill('SIGTERM')
    await once(child, 'exit')
    assert.equal(await store.inspect('three', '{{.State.Running}}'), 'true')
  })
})

describe('a container that a file names', () => {
  it('is stopped and removed by it, and one that is not there is no error when that is said', async () => {
    const file = `${store.root}.cid`
    const words = ['--cidfile', file, '--umask', '0027', 'busybox:1', 'sh', '-c']
    await ok('run', '-d', ...ALONE, ...words, 'umask >/umask; sleep 1000')
    const id = readFileSync(file, 'utf8')
    await until(
      'it says its umask',
      async () => (await store.dray('exec', id, 'cat', '/umask')).stdout === '0027\n',
    )
    assert.equal((await store.dray('stop', '--cidfile', `${file}.no`)).code, 1)
    assert.equal(await ok('stop', '--ignore', '--cidfile', `${file}.no`, '--cidfile', file), id)
    assert.equal(await ok('rm', '--cidfile', file), id)
    assert.match((await store.dray('rm', '--cidfile', file)).stderr, /no container is called/)
    for (const verb of ['stop', 'rm']) {
      assert.equal(await ok(verb, '--ignore', '--cidfile', file, 'nobody'), '')
    }
    assert.equal((await store.dray('rm', 'nobody')).code, 1)
    rmSync(file)
  })
})

describe('a log of several files', () => {
  const version = execFileSync('conmon', ['--version'], { encoding: 'utf8' })
  const [major = 0, minor = 0] = /(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? []
  const rotates = major > 2 || (major === 2 && minor >= 2)
  const options = ['--log-opt', 'max-size=4k', '--log-opt', 'max-file=3']
  const script = 'seq 1 400; sleep 1000'
  const words = ['-d', '--name', 'log', ...options, 'busybox:1', 'sh', '-c', script]

  it('is refused where conmon keeps one', { skip: rotates && 'conmon keeps more' }, async () => {
    const { code, stderr } = await store.dray('run', ...ALONE, ...words)
    assert.equal(code, 125)
    assert.match(stderr, /max-file=3 needs conmon 2\.2, and 2\.\d+\.\d+ is installed/)
    assert.equal((await store.dray('inspect', 'log')).code, 1)
  })

  it('is read over all of them', { skip: !rotates && 'conmon keeps one' }, async () => {
    await ok('run', ...ALONE, ...words)
    const path = await store.inspect('log', '{{.LogPath}}')
    await until('all is written', () => readFileSync(path, 'utf8').endsWith(' 400\n'))
    const lines = (await ok('logs', 'log')).split('\n').map(Number)
    assert.ok(lines.length > 100 && lines.length < 400, String(lines.length))
    assert.deepEqual(
      lines,
      lines.map((_, at) => 400 - lines.length + 1 + at),
    )
    assert.equal(await ok('logs', '--tail', '100', 'log'), lines.slice(-100).join('\n'))
  })
})

describe('a container with limits', () => {
  const device = readdirSync('/sys/block').find((name) => existsSync(`/dev/${name}`))
  const skip = device === undefined ? 'there is no block device here' : false

  it('reads devices as fast as it may', { skip }, async () => {
    const flags = ['--device-read-bps', `/dev/${device}:1mb`, '--memory', '64m']
    const v1 = ['--memory-swappiness', '7', '--oom-kill-disable']
    const isWeighed = readFileSync(`/sys/block/${device}/queue/scheduler`, 'utf8').includes('[bfq]')
    const ofDevice = isWeighed ? ['--blkio-weight-device', `/dev/${device}:400`] : []
    const weight = ['--blkio-weight', '200', ...ofDevice]
    const words = ['--name', 'slow', ...flags, ...weight, ...v1, 'busybox:1', 'sleep', '1000']
    await ok('run', '-d', ...ALONE, ...words)
    const id = await store.inspect('slow', '{{.Id}}')
    const pid = await store.inspect('slow', '{{.State.Pid}}')
    const number = readFileSync(`/sys/block/${device}/dev`, 'utf8').trim()
    const groups = readFileSync(`/proc/${pid}/cgroup`, 'utf8')
    const ofV1 = (controller: string) =>
      new RegExp(`:${controller}:(.*${id}.*)$`, 'm').exec(groups)?.[1]
    const read = (path: string) => readFileSync(`/sys/fs/cgroup/${path}`, 'utf8')
    if (ofV1('blkio') === undefined) {
      const path = /^0::(.*)$/m.exec(groups)?.[1]
      assert.match(read(`${path}/io.max`), new RegExp(`^${number} rbps=1048576 `, 'm'))
    } else {
      const rates = read(`blkio${ofV1('blkio')}/blkio.throttle.read_bps_device`)
      assert.equal(rates.trim(), `${number} 1048576`)
      assert.equal(read(`memory${ofV1('memory')}/memory.swappiness`), '7\n')
      assert.match(read(`memory${ofV1('memory')}/memory.oom_control`), /^oom_kill_disable 1$/m)
      const weightFile = `blkio${ofV1('blkio')}/blkio.bfq.weight`
      if (existsSync(`/sys/fs/cgroup/${weightFile}`)) {
        assert.equal(read(weightFile), '200\n')
        await ok('update', '--blkio-weight', '300', 'slow')
        assert.equal(read(weightFile), '300\n')
        if (isWeighed) assert.match(read(`${weightFile}_device`), new RegExp(`${number} 400`))
      }
    }
    await ok('rm', '-f', 'slow')
  })
})

describe('waiting', () => {
  it('is for any state', async () => {
    assert.equal(await ok('wait', '--condition', 'running', 'three'), '-1')
    assert.equal(
      await ok('wait', '--condition', 'stopped,paused', '-i', '1s', 'one', 'two'),
      '0\n0',
    )
    await ok('create', '--name', 'four', 'busybox:1')
    assert.equal(await ok('wait', '--condition', 'exited', '--condition', 'created', 'four'), '-1')
    await ok('rm', 'four')
  })
})

describe('what several containers', () => {
  it('said is told apart by their names', async () => {
    const { stdout, stderr } = await store.dray('logs', '--names', '--tail', '1', 'one', 'two')
    assert.equal(stdout, '')
    assert.equal(stderr, 'one bad\ntwo err\n')
    const both = await store.dray('logs', '-f', 'one', 'two')
    assert.deepEqual(both.stdout.split('\n').toSorted(), [
      '',
      'box.example.org',
      'example.org',
      'out',
    ])
    assert.match((await store.dray('logs', 'one', 'nosuch')).stderr, /no container is called/)
  })

  it('use is shown for those that do not run, too', async () => {
    const words = [
      'stats',
      '--no-stream',
      '--no-trunc',
      '--format',
      '{{.ID}} {{.PIDs}} {{.MemPerc}}',
    ]
    const running = await ok(...words)
    assert.match(running, /^[0-9a-f]{64} [1-9]\d* [\d.]+%$/)
    const all = (await ok(...words, '-a')).split('\n')
    assert.equal(all.length, 3)
    assert.ok(all.includes(`${await store.inspect('one', '{{.Id}}')} 0 0.00%`))
    await ok('rm', '-f', 'one', 'two', 'three')
  })
})
