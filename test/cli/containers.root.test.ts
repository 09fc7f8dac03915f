import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import { describe, it } from 'node:test'
import { findContainer } from '#runner/containers/find.ts'
import { removeContainer } from '#runner/verbs/remove.ts'
import { containerStore } from '../support/container-store.ts'
import { LAUNCHER } from '../support/dray.ts'
import { until } from '../runner/support/run.ts'

const store = containerStore()
const { ok } = store

const monitorOf = async (name: string) => {
  const dir = `${store.root}/containers/${await store.inspect(name, '{{.Id}}')}`
  return Number(readFileSync(`${dir}/monitor.pid`, 'latin1'))
}

describe('a container in the background', () => {
  it('goes on without any process of ours, and is found by name, id and the beginning of its id', async () => {
    const id = await ok(
      'run',
      '-d',
      '--name',
      'web',
      'busybox:1',
      'sh',
      '-c',
      'echo up; sleep 1000',
    )
    assert.match(id, /^[0-9a-f]{64}$/)
    for (const reference of ['web', id, id.slice(0, 8)]) {
      assert.equal(await store.inspect(reference, '{{.Name}} {{.State.Running}}'), 'web true')
    }
    assert.equal(await ok('ps', '-q'), id.slice(0, 12))
    assert.equal(await ok('logs', 'web'), 'up')
    assert.match((await store.dray('inspect', 'nosuch')).stderr, /no container is called "nosuch"/)
  })

  it('keeps its name to itself until it is removed', async () => {
    const { code, stderr } = await store.dray('create', '--name', 'web', 'busybox:1')
    assert.equal(code, 1)
    assert.match(stderr, /the name web is that of container [0-9a-f]{12}/)
    assert.equal((await store.dray('rm', 'web')).code, 1)
    assert.equal(await ok('rm', '-f', 'web'), 'web')
    assert.deepEqual(store.leftovers(), [])
  })

  it('is stopped, started again with what it wrote, and says both times what it said', async () => {
    const script =
      'trap "exit 3" TERM; echo run >> /root/runs; cat /root/runs; while :; do sleep 0.1; done'
    await ok('run', '-d', '--name', 'app', 'busybox:1', 'sh', '-c', script)
    await ok('stop', 'app')
    assert.equal(await store.inspect('app', '{{.State.Status}} {{.State.ExitCode}}'), 'exited 3')
    const ended = await findContainer(store.root, 'app')
    await ok('start', 'app')
    await ok('restart', 'app')
    // As a prune would that had seen it before it was started again.
    await assert.rejects(removeContainer(store.root, ended), { code: 'CONTAINER_STATE' })
    assert.equal(await ok('kill', 'app'), 'app')
    assert.equal(await ok('wait', 'app'), '137')
    assert.equal(await ok('logs', 'app'), 'run\nrun\nrun\nrun\nrun\nrun')
    await ok('rm', 'app')
    assert.deepEqual(store.leftovers(), [])
  })

  it('that does not listen is stopped at once, since it never would', async () => {
    await ok('run', '-d', '--name', 'deaf', 'busybox:1', 'sleep', '1000')
    const started = performance.now()
    await ok('stop', '-t', '60', 'deaf')
    assert.ok(performance.now() - started < 50_000)
    assert.equal(await store.inspect('deaf', '{{.State.ExitCode}}'), '137')
    await ok('rm', 'deaf')
  })

  it('with --rm leaves nothing when it ends', async () => {
    await ok('run', '-d', '--rm', '--name', 'brief', 'busybox:1', 'sleep', '0.2')
    await until('it is gone', () => store.leftovers().length === 0)
  })

  it('is paused and goes on', async () => {
    await ok('run', '-d', '--name', 'still', 'busybox:1', 'sleep', '1000')
    await ok('pause', 'still')
    assert.equal(await ok('ps', '--filter', 'status=paused', '--format', '{{.Names}}'), 'still')
    assert.equal((await store.dray('pause', 'still')).code, 1)
    await ok('unpause', '-a')
    const sorted = ['ps', '-a', '--sort', 'status', '--format', '{{.Names}}'] as const
    await ok('create', '--name', 'idle', 'busybox:1')
    assert.equal(await ok(...sorted), 'idle\nstill')
    await ok('pause', '--all')
    assert.equal(await ok(...sorted), 'idle\nstill')
    assert.equal(
      await ok('ps', '-a', '--sort', 'created', '--format', '{{.State}}'),
      'paused\ncreated',
    )
    await ok('rm', '-f', 'still', 'idle')
    assert.deepEqual(store.leftovers(), [])
  })
})

describe('a container in the foreground', () => {
  it('has its output, input and exit code here, and stays to be looked at', async () => {
    const child = store.start('run', '-i', '--name', 'cat', 'busybox:1', 'sh', '-c', 'cat; exit 5')
    let text = ''
    child.stdout?.on('data', (chunk) => {
      text += String(chunk)
    })
    child.stdin?.end('through\n')
    assert.deepEqual(await once(child, 'close'), [5, null])
    assert.equal(text, 'through\n')
    assert.equal(await ok('logs', 'cat'), 'through')
    assert.equal(await ok('ps', '-a', '--filter', 'exited=5', '--format', '{{.Names}}'), 'cat')
    await ok('rm', 'cat')
  })

  it('with --rm is seen by others, who may stop it', async () => {
    const child = store.start(
      'run',
      '--rm',
      '--name',
      'here',
      'busybox:1',
      'sh',
      '-c',
      'echo up; sleep 1000',
    )
    await once(child.stdout ?? child, 'data')
    // The runtime writes down the process's number when that runs already.
    await until('it is seen', async () => (await ok('ps', '-q')) !== '')
    assert.equal(await ok('ps', '--format', '{{.Names}} {{.State}}'), 'here running')
    const exit = once(child, 'exit')
    await ok('stop', 'here')
    assert.deepEqual(await exit, [137, null])
    assert.deepEqual(store.leftovers(), [])
  })

  it('goes on when whoever looked on is killed, and can be looked on at again', async () => {
    const script = 'echo up; read word; echo "got $word"; exit 4'
    const child = store.start('run', '-i', '--name', 'kept', 'busybox:1', 'sh', '-c', script)
    await once(child.stdout ?? child, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    // Its input ended with whoever gave it.
    assert.equal(await ok('wait', 'kept'), '4')
    assert.equal(await ok('logs', 'kept'), 'up\ngot')
    await ok('rm', 'kept')
  })
})

describe('the keys to detach', () => {
  it('end who looks on, and not the container', async () => {
    const loop = 'while :; do echo up; sleep 0.1; done'
    await ok('run', '-dit', '--network', 'none', '--name', 'seen', 'busybox:1', 'sh', '-c', loop)
    assert.match(await typeAt('attach', 'ab', '--detach-keys', 'a,b', 'seen'), /up/)
    assert.equal(await store.inspect('seen', '{{.State.Running}}'), 'true')
  })

  it('leave a command to itself that was run beside, and is told of until it ends', async () => {
    const typed = ['-it', 'seen', 'sh', '-c', '"echo begins; sleep 1000"']
    const shown = await typeAt('exec', '\x10\x11', ...typed)
    assert.equal(shown.replace(/^[^b]*/, ''), 'begins\r\n')
    const [id = '', ...others] = JSON.parse(await store.inspect('seen', '{{json .ExecIDs}}'))
    assert.deepEqual([id.length, others], [64, []])
    assert.match(await ok('top', 'seen'), /sleep 1000/)
    const of = await store.inspect('seen', '{{.Id}}')
    const dir = `${store.root}/containers/${of}/exec-${id}`
    process.kill(Number(readFileSync(`${dir}/pid`, 'latin1')))
    await until('what it had is gone', () => !existsSync(dir))
    assert.equal(await store.inspect('seen', '{{json .ExecIDs}}'), '[]')
    await ok('rm', '-f', 'seen')
  })

  /** What a command says at a terminal, which script(1) of util-linux gives it, when keys are typed as soon as it says something. */
  async function typeAt(verb: string, keys: string, ...args: string[]): Promise<string> {
    const words = [LAUNCHER, verb, '--root', store.root, ...args]
    const looker = spawn('script', ['-qec', words.join(' '), '/dev/null'])
    let shown = ''
    looker.stdout.on('data', (piece) => {
      shown += String(piece)
    })
    await once(looker.stdout, 'data')
    looker.stdin.write(keys)
    assert.deepEqual(await once(looker, 'exit'), [0, null])
    return shown
  }
})

describe('a policy to restart', () => {
  it('starts a container again that failed, as often as it says', async () => {
    await ok(
      'run',
      '-d',
      '--name',
      'again',
      '--restart',
      'on-failure:2',
      'busybox:1',
      'sh',
      '-c',
      'echo try; exit 1',
    )
    await until('it was tried three times', () => triesOf('again') === 3)
    await ok('wait', 'again')
    assert.equal(await store.inspect('again', '{{.RestartCount}} {{.State.ExitCode}}'), '2 1')
    await ok('rm', '-f', 'again')
  })

  it('leaves alone what was stopped', async () => {
    await ok('run', '-d', '--name', 'stopped', '--restart', 'always', 'busybox:1', 'sleep', '1000')
    await ok('stop', 'stopped')
    assert.equal(await store.inspect('stopped', '{{.State.Status}}'), 'exited')
    await ok('rm', 'stopped')
    assert.deepEqual(store.leftovers(), [])
  })

  it('survives a halt of the host and its boot, unless somebody stopped it or no policy wants it', async () => {
    const policies = { each: 'always', kept: 'unless-stopped', ended: 'unless-stopped', once: 'no' }
    for (const [name, policy] of Object.entries(policies)) {
      await ok('run', '-d', '--restart', policy, '--name', name, 'busybox:1', 'sleep', '1000')
    }
    await ok('stop', 'ended')
    const running = async () => (await ok('ps', '--format', '{{.Names}}')).split('\n').sort()
    await ok('system', 'halt')
    assert.deepEqual(await running(), [''])
    await ok('system', 'boot')
    assert.deepEqual(await running(), ['each', 'kept'])
    // Of what a boot started, a stop is a stop again.
    await ok('stop', 'kept')
    await ok('system', 'halt')
    await ok('system', 'boot')
    assert.deepEqual(await running(), ['each'])
    await ok('rm', '-f', ...Object.keys(policies))
  })

  const triesOf = (name: string) => {
    try {
      const id = readlinkSync(`${store.root}/container-names/${name}`)
      const log = readFileSync(`${store.root}/containers/${id}/output.log`, 'utf8')
      return log.split('\n').filter((line) => line.endsWith(' try')).length
    } catch {
      return 0
    }
  }
})

describe('a monitor that was killed', () => {
  it('leaves an end that nobody saw, which is never taken for success', async () => {
    await ok('run', '-d', '--name', 'orphan', 'busybox:1', 'sleep', '1000')
    process.kill(await monitorOf('orphan'), 'SIGKILL')
    assert.equal(await store.inspect('orphan', '{{.State.Status}}'), 'running')
    await ok('kill', 'orphan')
    assert.equal(await ok('wait', 'orphan'), 'unknown')
    assert.match(await ok('ps', '-a', '--format', '{{.Status}}'), /^Exited \(unknown\)/)
    assert.equal(await store.inspect('orphan', '{{.State.ExitCode}}'), '-1')
    await ok('start', 'orphan')
    await ok('rm', '-f', 'orphan')
    assert.deepEqual(store.leftovers(), [])
  })
})

describe('what happens to a container', () => {
  it('is told by dray events', async () => {
    await ok('run', '-d', '--network', 'none', '--name', 'told', 'busybox:1', 'sleep', '1000')
    await ok('exec', 'told', 'true')
    await ok('pause', 'told')
    await ok('unpause', 'told')
    await ok('stop', 'told')
    await ok('rm', 'told')
    await store.dray(
      'run',
      '--rm',
      '--network',
      'none',
      '--name',
      'short',
      'busybox:1',
      'sh',
      '-c',
      'exit 3',
    )
    const of = (name: string, format: string) =>
      ok('events', '--since', '1h', '--until', '0s', '-f', `container=${name}`, '--format', format)
    const actions = 'create start exec_start: true pause unpause kill die stop destroy'
    assert.equal((await of('told', '{{.Action}}')).replaceAll('\n', ' '), actions)
    const brief = await of('short', '{{.Action}} {{.Actor.Attributes.exitCode}}')
    assert.match(brief, /^create .*\nstart .*\ndie 3\ndestroy/)
  })
})

describe('what a container is made with', () => {
  it('are the values that variables had then, whoever starts it', async () => {
    process.env.DRAY_TEST_VALUE = 'then'
    const words = ['-e', 'DRAY_TEST_VALUE', 'busybox:1', 'sh', '-c', 'echo $DRAY_TEST_VALUE']
    await ok('create', '--network', 'none', '--name', 'valued', ...words)
    delete process.env.DRAY_TEST_VALUE
    await ok('start', 'valued')
    await ok('wait', 'valued')
    assert.equal(await ok('logs', 'valued'), 'then')
    const { code, stdout, stderr } = await store.dray('wait', 'nosuch', 'valued')
    assert.deepEqual([code, stdout], [1, '0\n'])
    assert.match(stderr, /no container is called "nosuch"/)
    await ok('rm', 'valued')
  })

  it('is told by dray inspect, and found by filters', async () => {
    await ok('volume', 'create', 'data')
    await ok('volume', 'create', '--label', 'kind=spare', 'other')
    const limits = ['--memory', '64m', '--cpuset-cpus', '0', '--cap-add', 'NET_ADMIN']
    const words = ['--network', 'none', '-v', 'data:/data:ro', '-e', 'A=1', '-e', 'A=2', ...limits]
    await ok('create', '--name', 'told', ...words, 'busybox:1')
    assert.equal(await store.inspect('told', '{{.Config.Env}}'), '[A=2]')
    const mount = '{{range .Mounts}}{{.Type}} {{.Name}} {{.Mode}}{{end}}'
    assert.equal(await store.inspect('told', mount), 'volume data ro')
    const host = '.HostConfig.CpusetCpus .HostConfig.MemorySwap .HostConfig.CapAdd'
    const template = host.split(' ').map((field) => `{{${field}}}`)
    assert.equal(await store.inspect('told', template.join(' ')), '0 67108864 [CAP_NET_ADMIN]')
    assert.equal(await ok('ps', '-a', '--filter', 'volume=data', '--format', '{{.Names}}'), 'told')
    const volumes = (...filters: string[]) => ok('volume', 'ls', '-q', ...filters)
    assert.equal(await volumes('-f', 'dangling=true'), 'other')
    assert.equal(await volumes('-f', 'dangling=false'), 'data')
    assert.equal(await volumes('-f', 'label=kind=spare', '-f', 'name=the'), 'other')
    await ok('rm', 'told')
    assert.equal(await ok('volume', 'rm', '-f', 'data', 'other', 'nosuch'), 'data\nother')
    await ok('network', 'create', 'one-net')
    assert.equal(await ok('network', 'ls', '-q', '-f', 'name=one'), 'one-net')
    assert.equal(await ok('network', 'rm', '-f', 'one-net', 'nosuch'), 'one-net')
  })

  it('leaves nothing when it could not be', async () => {
    const file = `${store.root}/id`
    await ok('create', '--cidfile', file, '--name', 'first', 'busybox:1')
    assert.equal((await store.dray('create', '--cidfile', file, 'busybox:1')).code, 1)
    assert.equal((await store.dray('run', '-it', 'busybox:1')).code, 125)
    assert.equal(await ok('ps', '-a', '--format', '{{.Names}}'), 'first')
    assert.equal((await store.dray('export', '-o', '/nowhere/x', 'first')).code, 1)
    await ok('rm', 'first')
  })
})

describe('all containers', () => {
  it('are restarted, killed and removed, by names that containers have for their verbs, too', async () => {
    const words = ['--network', 'none', 'busybox:1', 'sleep', '1000']
    for (const name of ['one', 'two']) await ok('run', '-d', '--name', name, ...words)
    const seen = async (...flags: readonly string[]) =>
      (await ok('container', 'ls', ...flags, '--format', '{{.Names}}')).split('\n').sort()
    await ok('exec', 'one', 'sh', '-c', 'head -c 1m /dev/zero >/file; sync')
    const sizes = await ok('ps', '-s', '--format', '{{.Names}} {{.Size}}')
    assert.match(sizes, /^two [\d.]+k?B\none 1\.\d+MB$/)
    await ok('container', 'restart', '-a', '-s', 'KILL')
    assert.deepEqual(await seen(), ['one', 'two'])
    await ok('container', 'kill', '-a')
    await ok('wait', 'one', 'two')
    assert.deepEqual(await seen(), [''])
    await ok('start', 'two')
    await ok('container', 'prune', '-f')
    assert.deepEqual(await seen('-a'), ['two'])
    await ok('rm', '-fa')
    assert.deepEqual(await seen('-a'), [''])
  })
})

describe('the shared memory of a container', () => {
  it('is that of another, with its files and as long as both run, unless that keeps it to itself', async () => {
    const run = (flag: string, ...words: readonly string[]) =>
      ok('run', flag, '--network', 'none', ...words)
    const inside = (name: string, script: string) => ok('exec', name, 'sh', '-c', script)
    await run('-d', '--name', 'owner', '--shm-size', '3m', 'busybox:1', 'sleep', '1000')
    await run('-d', '--name', 'guest', '--ipc', 'container:owner', 'busybox:1', 'sleep', '1000')
    assert.match(await inside('guest', 'df /dev/shm; echo said >/dev/shm/file'), / 3072 /)
    assert.equal(await inside('owner', 'cat /dev/shm/file'), 'said')
    const third = ['--rm', '--ipc', 'container:guest', 'busybox:1', 'cat', '/dev/shm/file'] as const
    assert.equal(await run(...third), 'said')
    await ok('stop', 'owner')
    assert.equal(await inside('guest', 'cat /dev/shm/file'), 'said')
    assert.equal((await store.dray('restart', 'guest')).code, 1)
    await ok('start', 'owner', 'guest')
    assert.equal(await inside('guest', 'ls /dev/shm'), '')
    await ok('rm', '-f', 'owner', 'guest')
    await run('-d', '--name', 'loner', '--ipc', 'private', 'busybox:1', 'sleep', '1000')
    const words = ['run', '--rm', '--ipc', 'container:loner', 'busybox:1', 'true']
    const { code, stderr } = await store.dray(...words)
    assert.match(stderr, /shares its memory with nobody .* --ipc shareable/)
    assert.equal(code, 125)
    await ok('rm', '-f', 'loner')
  })

  it('is nothing else that the container puts in its place', async () => {
    const script =
      'umount /dev/shm; rmdir /dev/shm; ln -s /etc /dev/shm; echo done; exec sleep 1000'
    const words = ['--privileged', '--network', 'none', 'busybox:1', 'sh', '-c', script]
    await ok('run', '-d', '--name', 'liar', ...words)
    await until('it has lied', async () => (await ok('logs', 'liar')) === 'done')
    const guest = ['run', '--rm', '--ipc', 'container:liar', 'busybox:1', 'ls', '/dev/shm']
    const { code, stdout, stderr } = await store.dray(...guest)
    assert.match(stderr, /cannot share \/dev\/shm of container liar/)
    assert.deepEqual([code, stdout], [125, ''])
    await ok('rm', '-f', 'liar')
  })
})
