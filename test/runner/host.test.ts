import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { DrayError } from '#oci/error.ts'
import { describeCgroups } from '#runner/cgroup.ts'
import { hardOpenFilesLimit, isKernelAtLeast } from '#runner/host-facts.ts'
import { missingForRun } from '#runner/host-info.ts'
import { exitCodeOf, readHostInfo } from '#runner/index.ts'
import { parseMountInfo } from '#runner/mountinfo.ts'
import { chooseRuntime, explainFailure, obstacleOf, runtimeMessage } from '#runner/runtime.ts'
import { tempDir } from '../support/temp-dir.ts'

const V1 = `30 25 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
90 25 0:27 / /chroot/sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct
`
const UNIFIED = '34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n'
const V2 = '30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n'

function describeText(text: string, v2: readonly string[] = []) {
  return describeCgroups(parseMountInfo(text), async () => v2)
}

describe('mountinfo', () => {
  it('is read with optional fields and octal escapes', () => {
    const line =
      '36 35 98:0 /mnt1 /a\\040b\\134\\303\\251 rw,noatime master:1 shared:2 - ext3 /dev/x\\040y rw,errors=continue'
    assert.deepEqual(parseMountInfo(`${line}\nbroken line\n\n`), [
      {
        mountPoint: '/a b\\é',
        type: 'ext3',
        source: '/dev/x y',
        superOptions: ['rw', 'errors=continue'],
      },
    ])
  })
})

describe('cgroups', () => {
  it('of version 1 have the controllers of their mounts', async () => {
    const { mode, controllers, mountPoints } = await describeText(V1)
    assert.equal(mode, 'v1')
    assert.deepEqual(controllers, ['cpu', 'cpuacct', 'memory'])
    assert.equal(mountPoints.length, 3)
  })

  it('are hybrid when version 2 is mounted beside', async () => {
    const { mode, controllers, strayControllers } = await describeText(V1 + UNIFIED, ['hugetlb'])
    assert.equal(mode, 'hybrid')
    assert.deepEqual(controllers, ['cpu', 'cpuacct', 'memory'])
    assert.deepEqual(strayControllers, ['hugetlb'])
  })

  it('of version 2 have the controllers of their root', async () => {
    const { mode, controllers } = await describeText(V2, ['memory', 'cpu'])
    assert.equal(mode, 'v2')
    assert.deepEqual(controllers, ['cpu', 'memory'])
  })

  it('may be absent', async () => {
    assert.equal((await describeText('')).mode, 'none')
  })
})

describe('the choice of an OCI runtime', () => {
  const v2 = { mode: 'v2', controllers: [], strayControllers: [], mountPoints: [] } as const
  const hybrid = { ...v2, mode: 'hybrid', strayControllers: ['hugetlb'] } as const
  const program = (dir: string, name: string) => {
    writeFileSync(join(dir, name), '#!/bin/sh\n')
    chmodSync(join(dir, name), 0o755)
  }

  it('prefers crun, where crun can work', (t) => {
    const dir = tempDir(t)
    program(dir, 'crun')
    program(dir, 'runc')
    assert.deepEqual(chooseRuntime(undefined, dir, v2), {
      name: 'crun',
      path: join(dir, 'crun'),
    })
    assert.deepEqual(chooseRuntime(undefined, dir, hybrid), {
      name: 'runc',
      path: join(dir, 'runc'),
    })
  })

  it('knows when crun refuses hybrid cgroups', () => {
    const crun = { name: 'crun', path: '/usr/bin/crun' }
    assert.match(obstacleOf(crun, hybrid) ?? '', /hugetlb/)
    assert.equal(obstacleOf(crun, { ...hybrid, strayControllers: [] }), undefined)
    assert.equal(obstacleOf({ ...crun, name: 'runc' }, hybrid), undefined)
    assert.match(obstacleOf(crun, { ...v2, mode: 'none' }) ?? '', /cgroups/)
  })

  it('takes the one asked for, by name or path, or fails', (t) => {
    const dir = tempDir(t)
    program(dir, 'my-runtime')
    const path = join(dir, 'my-runtime')
    assert.equal(chooseRuntime('my-runtime', dir, v2).path, path)
    assert.equal(chooseRuntime(path, undefined, v2).name, 'my-runtime')
    for (const wanted of ['no-such-runtime', join(dir, 'nothing')]) {
      assert.throws(() => chooseRuntime(wanted, dir, v2), { code: 'RUNTIME_UNAVAILABLE' })
    }
  })
})

describe('the log of a runtime', () => {
  const RUNTIME = { name: 'runc', path: '/usr/sbin/runc' }
  const line = (msg: string, level = 'error') => `${JSON.stringify({ level, msg, time: 'x' })}\n`

  const REASONS: readonly (readonly [string, string])[] = [
    ['exec: "nope": executable file not found in $PATH', 'COMMAND_NOT_FOUND'],
    ['run failed: exec: "/nope": stat /nope: no such file or directory', 'COMMAND_NOT_FOUND'],
    ['executable file `nope` not found in $PATH: No such file or directory', 'COMMAND_NOT_FOUND'],
    ['exec container process `/x`: No such file or directory', 'COMMAND_NOT_FOUND'],
    ['run failed: exec: "/etc": permission denied', 'COMMAND_NOT_EXECUTABLE'],
    ['open executable: Operation not permitted', 'COMMAND_NOT_EXECUTABLE'],
    ['exec container process `/x`: Exec format error', 'COMMAND_NOT_EXECUTABLE'],
    ['chdir to cwd ("/x") set in config.json failed: not a directory', 'COMMAND_NOT_EXECUTABLE'],
    ['error mounting "proc": permission denied', 'RUN_FAILED'],
    ['mkdir /x: no such file or directory', 'RUN_FAILED'],
  ]
  for (const [message, code] of REASONS) {
    it(`with ${JSON.stringify(message)} means ${code}`, () => {
      assert.equal(explainFailure(RUNTIME, line(message))?.code, code)
    })
  }

  it('says nothing without an error in it', () => {
    for (const log of ['', '\n', 'not json\n', line('careful', 'warning'), '{"level":"error"}\n']) {
      assert.equal(explainFailure(RUNTIME, log), undefined)
    }
  })

  it('is not repeated to whoever has read it from runc itself', () => {
    const saidBy = (name: string, isSaid: boolean) =>
      explainFailure({ ...RUNTIME, name }, line('no room'), isSaid)?.message ?? ''
    const [shown, said] = [/: no room$/, /^runc could not run the container: the line above/]
    assert.match(saidBy('runc', true), said)
    assert.match(saidBy('runc', false), shown)
    assert.match(saidBy('crun', true), shown)
  })

  it('is told in a line where it is on standard error', () => {
    const logged = (level: string, msg: string) =>
      `time="x" level=${level} msg=${JSON.stringify(msg)}\n`
    const stderr = logged('warning', 'state.json') + logged('error', 'write "500": out of range')
    assert.equal(
      runtimeMessage(Object.assign(new Error('x'), { stderr })),
      'write "500": out of range',
    )
    assert.equal(runtimeMessage(Object.assign(new Error('x'), { stderr: 'plain\n' })), 'plain')
    assert.equal(runtimeMessage(Object.assign(new Error('x'), { stderr: '' })), 'x')
  })

  it('gives its last error as the reason', () => {
    const log = line('first') + line('exec: "x": permission denied') + line('later', 'debug')
    assert.equal(explainFailure(RUNTIME, log)?.code, 'COMMAND_NOT_EXECUTABLE')
  })
})

describe('exit codes of errors', () => {
  it('are those of docker and podman', () => {
    assert.equal(exitCodeOf(new DrayError('COMMAND_NOT_FOUND')), 127)
    assert.equal(exitCodeOf(new DrayError('COMMAND_NOT_EXECUTABLE')), 126)
    assert.equal(exitCodeOf(new DrayError('RUN_FAILED')), 125)
    assert.equal(exitCodeOf(new Error('anything')), 125)
  })
})

describe('facts of the host', () => {
  it('compare kernel releases by number', () => {
    assert.equal(isKernelAtLeast(6, 5, '6.12.0-1-amd64'), true)
    assert.equal(isKernelAtLeast(6, 12, '6.5.0'), false)
    assert.equal(isKernelAtLeast(5, 12, '6.1.0'), true)
    assert.equal(isKernelAtLeast(6, 5, 'strange'), false)
  })

  it('read the limit of open files', () => {
    const row = (hard: string) =>
      `Max open files            1024                 ${hard}    files\n`
    assert.equal(hardOpenFilesLimit(`Limit Soft Hard\n${row('4096')}`), 4096)
    assert.equal(hardOpenFilesLimit(row('unlimited')), Number.MAX_SAFE_INTEGER)
    assert.equal(hardOpenFilesLimit(''), 1024)
  })

  it('are plain data that say what run lacks', async () => {
    const info = await readHostInfo('/nonexistent')
    assert.deepEqual(JSON.parse(JSON.stringify(info)).missing, info.missing)
    assert.deepEqual(
      info.runtimes.map((runtime) => runtime.name),
      ['crun', 'runc'],
    )
    const bare = { ...info, isRoot: false, runtime: undefined, seccomp: false }
    const missing = missingForRun({ ...bare, cgroups: { mode: 'v2', controllers: ['cpu'] } })
    assert.equal(missing.length, info.overlay.supported ? 4 : 5)
    assert.match(missing.join('\n'), /root.*\n.*OCI runtime.*\n(?:.*\n)*seccomp.*\n.*memory, pids/)
  })
})
