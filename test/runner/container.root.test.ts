import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { type ContainerOptions, parseVolume, runContainer } from '#runner/index.ts'
import { describeTree } from '../support/tree.ts'
import { rootfsOf } from './support/busybox.ts'
import { leftovers, playground, runIn } from './support/run.ts'

describe('a container', () => {
  it('ends with the exit code of its command and leaves nothing', async (t) => {
    const place = playground(t)
    for (const code of [0, 1, 3, 125, 255]) {
      const { exitCode } = await runIn(place, `exit ${code}`)
      assert.equal(exitCode, code)
    }
    assert.deepEqual(leftovers(place), [])
  })

  it('ends with 128 and the signal that killed its command', async (t) => {
    const { exitCode } = await runIn(playground(t), 'sh -c "kill -9 \\$\\$"; exit $?')
    assert.equal(exitCode, 137)
  })

  const COMMANDS: readonly (readonly [readonly string[], string, ContainerOptions])[] = [
    [['nothing'], 'COMMAND_NOT_FOUND', {}],
    [['/nothing'], 'COMMAND_NOT_FOUND', {}],
    [['/etc'], 'COMMAND_NOT_EXECUTABLE', {}],
    [['/etc/passwd'], 'COMMAND_NOT_EXECUTABLE', {}],
    // With a volume the runtime is the judge.
    [['nothing'], 'COMMAND_NOT_FOUND', { volumes: [parseVolume('/tmp:/v')] }],
    [['/v/nothing'], 'COMMAND_NOT_FOUND', { volumes: [parseVolume('/tmp:/v')] }],
    [['/etc/passwd'], 'COMMAND_NOT_EXECUTABLE', { volumes: [parseVolume('/tmp:/v')] }],
    [['true'], 'USER_UNKNOWN', { user: 'nobody' }],
    [['true'], 'USER_UNKNOWN', { user: '4294967296' }],
  ]
  for (const [command, code, options] of COMMANDS) {
    it(`that should run ${command.join(' ')} with ${JSON.stringify(options)} fails with ${code}`, async (t) => {
      const place = playground(t)
      await assert.rejects(runIn(place, command, options), { code })
      assert.deepEqual(leftovers(place), [])
    })
  }

  it('sees its command as process 1, and no process, mount or name of the host', async (t) => {
    const place = playground(t)
    const { stdout } = await runIn(
      place,
      'echo $$; hostname; ps | wc -l; cat /proc/1/cmdline; echo; cat /proc/mounts; uname -n',
    )
    const [pid, name, processes, command, ...rest] = stdout.split('\n')
    assert.equal(pid, '1')
    assert.match(name ?? '', /^[0-9a-f]{12}$/)
    assert.ok(Number(processes) <= 4, `${processes} lines of ps`)
    assert.match(command ?? '', /^sh\0-c/)
    assert.notEqual(name, hostname())
    assert.equal(rest.at(-2), name)
    const mounts = rest.filter((line) => line.includes(' ext4 ')).map((line) => line.split(' ')[1])
    assert.deepEqual(
      mounts.filter((path) => !path?.startsWith('/etc/')),
      [],
    )
    assert.match(stdout, /overlay \/ overlay|none \/ overlay/)
  })

  it('is confined: no new privileges, seccomp, few capabilities, a read-only /proc/sys and /sys', async (t) => {
    const { stdout, stderr } = await runIn(
      playground(t),
      `grep -E "^(CapEff|CapBnd|CapInh|CapAmb|NoNewPrivs|Seccomp):" /proc/self/status
       for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /sys/kernel/mm/ksm/run; do echo 1 2>/dev/null >$f && echo wrote $f; done
       cat /proc/keys /proc/interrupts | wc -c; mount -t tmpfs x /tmp; unshare -m true; unshare -U true; mknod /tmp/d c 1 3; hostname x; exit 0`,
    )
    assert.match(stdout, /CapEff:\s+00000000800405fb/)
    assert.match(stdout, /CapBnd:\s+00000000800405fb/)
    assert.match(stdout, /CapInh:\s+0000000000000000/)
    assert.match(stdout, /CapAmb:\s+0000000000000000/)
    assert.match(stdout, /NoNewPrivs:\s+1/)
    assert.match(stdout, /Seccomp:\s+2/)
    assert.match(stdout, /\n0\n$/)
    assert.doesNotMatch(stdout, /wrote/)
    assert.equal(stderr.match(/not permitted|permission denied/gi)?.length, 5, stderr)
  })

  it('runs as the user asked for, in its groups and its home, without capabilities', async (t) => {
    const place = playground(t)
    const script = 'id -u; id -g; id -G; echo $HOME; grep CapEff /proc/self/status; touch /x'
    const { stdout, stderr } = await runIn(place, script, { user: 'app' })
    const [uid, gid, groups, home, capabilities] = stdout.split('\n')
    assert.deepEqual([uid, gid, groups, home], ['1000', '1000', '1000 50', '/home/app'])
    assert.match(capabilities ?? '', /0000000000000000/)
    assert.match(stderr, /denied/)
    const numbers = await runIn(place, 'id -u; id -G', { user: '4242:4243' })
    assert.equal(numbers.stdout, '4242\n4243\n')
  })

  it('has the environment, the working directory and the name it is given', async (t) => {
    const place = playground(t)
    const rootfs = rootfsOf([place.layer], { Env: ['A=1', 'B=2'], WorkingDir: '/made/here' })
    const script = 'echo $A $B $C; pwd; hostname; cat /etc/hostname; grep -c box /etc/hosts; tty'
    const options = { rootfs, env: ['B=3', 'C=4'], hostname: 'box' }
    const { stdout } = await runIn(place, script, options)
    assert.equal(stdout, '1 3 4\n/made/here\nbox\nbox\n1\nnot a tty\n')
  })

  it('takes the command of the image, and replaces it', async (t) => {
    const place = playground(t)
    const rootfs = rootfsOf([place.layer], { Entrypoint: ['echo'], Cmd: ['image'] })
    assert.equal((await runIn(place, [], { rootfs })).stdout, 'image\n')
    assert.equal((await runIn(place, ['mine'], { rootfs })).stdout, 'mine\n')
    const other = await runIn(place, ['-c', 'echo other'], { rootfs, entrypoint: ['sh'] })
    assert.equal(other.stdout, 'other\n')
  })

  it('starts from a file system without any directory that it needs', async (t) => {
    const place = playground(t)
    const dir = join(place.dir, 'bare')
    mkdirSync(dir)
    writeFileSync(join(dir, 'busybox'), readFileSync('/bin/busybox'), { mode: 0o755 })
    const { stdout } = await runIn(place, ['/busybox', 'ls', '/'], { rootfs: rootfsOf([dir]) })
    assert.equal(stdout, 'busybox\ndev\netc\nproc\nsys\n')
    await assert.rejects(runIn(place, ['x'], { rootfs: rootfsOf([]) }), {
      code: 'COMMAND_NOT_FOUND',
    })
  })

  it('does not need the umask of its owner to be friendly', async (t) => {
    const place = playground(t)
    const before = process.umask(0o077)
    try {
      const script = 'cat /etc/hosts >/dev/null && pwd && ls / >/dev/null && echo fine'
      const { stdout } = await runIn(place, script, { user: 'app', workdir: '/a/b' })
      assert.equal(stdout, '/a/b\nfine\n')
    } finally {
      process.umask(before)
    }
  })

  it('cannot write to a read-only file system, and still has /dev/shm', async (t) => {
    const script = 'touch /x; touch /tmp/x; echo x >/etc/hosts; touch /dev/shm/x && echo shm'
    const { stdout, stderr } = await runIn(playground(t), script, { readOnly: true })
    assert.equal(stdout, 'shm\n')
    assert.equal(stderr.match(/Read-only file system/g)?.length, 3)
  })

  it('gets no input unless it is asked for', async (t) => {
    assert.equal((await runIn(playground(t), 'cat; echo end')).stdout, 'end\n')
  })

  it('needs a terminal for a terminal', async (t) => {
    const place = playground(t)
    await assert.rejects(runIn(place, 'true', { tty: true }), { code: 'USAGE' })
    assert.deepEqual(leftovers(place), [])
  })

  it('says which runtime is missing before it makes anything', async (t) => {
    const place = playground(t)
    const context = { root: place.root, hostEnv: {}, runtime: 'no-such-runtime' }
    await assert.rejects(runContainer(place.rootfs, { command: ['true'] }, context), {
      code: 'RUNTIME_UNAVAILABLE',
    })
    assert.deepEqual(leftovers(place), [])
  })
})

describe('containers of one image', () => {
  it('do not see each other’s writes, and leave the layers as they were', async (t) => {
    const place = playground(t)
    const before = describeTree(place.layer)
    const script = (name: string) =>
      `echo ${name} >/tmp/mine; rm /etc/group; chmod 700 /root; echo x >>/etc/passwd; sleep 1; ls /tmp; cat /tmp/mine`
    const outputs = await Promise.all(['a', 'b'].map((name) => runIn(place, script(name))))
    assert.deepEqual(
      outputs.map((output) => output.stdout),
      ['mine\na\n', 'mine\nb\n'],
    )
    assert.equal((await runIn(place, 'ls /tmp; cat /etc/group | wc -l')).stdout, '3\n')
    assert.deepEqual(describeTree(place.layer), before)
  })

  it('see layers stacked in order, with whiteouts', async (t) => {
    const place = playground(t)
    const top = join(place.dir, 'top')
    mkdirSync(join(top, 'etc'), { recursive: true })
    writeFileSync(join(top, 'etc/passwd'), 'root:x:0:0::/top:/bin/sh\n')
    execFileSync('mknod', [join(top, 'etc/group'), 'c', '0', '0'])
    const rootfs = rootfsOf([place.layer, top])
    const { stdout } = await runIn(place, 'cat /etc/passwd; ls /etc/group; echo $HOME', { rootfs })
    assert.equal(stdout, 'root:x:0:0::/top:/bin/sh\n/top\n')
  })

  it('have the root directory of the topmost layer', async (t) => {
    const place = playground(t)
    const top = join(place.dir, 'top')
    mkdirSync(top, { mode: 0o711 })
    execFileSync('chown', ['1000:50', top])
    const rootfs = rootfsOf([place.layer, top])
    assert.equal((await runIn(place, 'stat -c "%a %u %g" /', { rootfs })).stdout, '711 1000 50\n')
  })
})
