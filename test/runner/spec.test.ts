import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ExecutionConfig, ImageConfig } from '#oci/image-config.ts'
import type { RuntimeSpec } from '#oci/runtime-spec.ts'
import { type ContainerOptions, parseVolume } from '#runner/index.ts'
import { V1_LIMITS, withoutLimits } from '#runner/containers/create.ts'
import { buildSpec, commandLine, type SpecFacts, wantedUser, wantedWorkdir } from '#runner/spec.ts'

const FACTS: SpecFacts = {
  id: '0123456789abcdef'.repeat(4),
  user: { uid: 0, gid: 0, additionalGids: [], home: '/root' },
  workdir: '/',
  rootPath: '/store/merged',
  volumes: [],
  etcFiles: { '/etc/hosts': '/store/hosts' },
  architecture: 'x64',
  limitsSwap: true,
  recursiveReadOnly: true,
  openFilesLimit: 1_048_576,
  oomScoreAdj: 0,
  thermalPaths: ['/sys/devices/system/cpu/cpu0/thermal_throttle'],
}

function imageOf(config: ExecutionConfig): ImageConfig {
  return { architecture: 'amd64', os: 'linux', config, rootfs: { type: 'layers', diff_ids: [] } }
}

function build(options: ContainerOptions = {}, facts: Partial<SpecFacts> = {}): RuntimeSpec {
  return buildSpec(imageOf({ Cmd: ['sh'] }), options, { ...FACTS, ...facts })
}

function mountAt(spec: RuntimeSpec, destination: string) {
  return spec.mounts.filter((mount) => mount.destination === destination)
}

const COMMANDS: readonly (readonly [ExecutionConfig, ContainerOptions, readonly string[]])[] = [
  [{ Cmd: ['a', 'b'] }, {}, ['a', 'b']],
  [{ Entrypoint: ['e'], Cmd: ['a'] }, {}, ['e', 'a']],
  [{ Entrypoint: ['e'] }, {}, ['e']],
  [{ Entrypoint: ['e'], Cmd: ['a'] }, { command: ['x', 'y'] }, ['e', 'x', 'y']],
  [{ Cmd: ['a'] }, { command: ['x'] }, ['x']],
  [{ Entrypoint: ['e'], Cmd: ['a'] }, { command: [] }, ['e', 'a']],
  [{ Entrypoint: ['e'], Cmd: ['a'] }, { entrypoint: ['n'] }, ['n']],
  [{ Entrypoint: ['e'], Cmd: ['a'] }, { entrypoint: ['n', 'm'], command: ['x'] }, ['n', 'm', 'x']],
  [{ Entrypoint: ['e'], Cmd: ['a'] }, { entrypoint: [''], command: ['x'] }, ['x']],
  [{ Entrypoint: ['e'] }, { entrypoint: ['n', ''] }, ['n', '']],
]

describe('the command line', () => {
  for (const [config, options, words] of COMMANDS) {
    it(`of ${JSON.stringify(config)} with ${JSON.stringify(options)} is ${words.join(' ')}`, () => {
      assert.deepEqual(commandLine(config, options), words)
    })
  }

  it('must have a word', () => {
    assert.throws(() => commandLine({}, {}), { code: 'USAGE' })
    const dropped = { entrypoint: [''] }
    assert.throws(() => commandLine({ Entrypoint: ['e'], Cmd: ['a'] }, dropped), { code: 'USAGE' })
  })
})

describe('the working directory and the user', () => {
  it('come from the options, then from the image', () => {
    assert.equal(wantedWorkdir({}, {}), '/')
    assert.equal(wantedWorkdir({ WorkingDir: '/a/../b/' }, {}), '/b')
    assert.equal(wantedWorkdir({ WorkingDir: 'relative' }, {}), '/relative')
    assert.equal(wantedWorkdir({ WorkingDir: '/a' }, { workdir: '/c' }), '/c')
    assert.equal(wantedUser({ User: 'a' }, {}), 'a')
    assert.equal(wantedUser({ User: 'a' }, { user: 'b' }), 'b')
    assert.equal(wantedUser({}, {}), '')
  })
})

describe('the spec', () => {
  it('gives a container namespaces of its own', () => {
    const types = build().linux.namespaces.map((namespace) => namespace.type)
    assert.deepEqual(types.sort(), ['cgroup', 'ipc', 'mount', 'network', 'pid', 'uts'])
    assert.ok(build().linux.namespaces.every((namespace) => namespace.path === undefined))
  })

  it('leaves the network namespace out for the host’s network', () => {
    const types = build({ network: 'host' }).linux.namespaces.map((namespace) => namespace.type)
    assert.deepEqual(types.sort(), ['cgroup', 'ipc', 'mount', 'pid', 'uts'])
  })

  it('gives root few capabilities, and none that are inherited', () => {
    const { capabilities, noNewPrivileges } = build().process
    assert.equal(capabilities.bounding.length, 11)
    for (const name of ['CAP_SYS_ADMIN', 'CAP_NET_RAW', 'CAP_MKNOD', 'CAP_SYS_PTRACE']) {
      assert.equal(capabilities.bounding.includes(name), false)
    }
    assert.deepEqual(capabilities.effective, capabilities.bounding)
    assert.deepEqual(capabilities.permitted, capabilities.bounding)
    assert.deepEqual([capabilities.inheritable, capabilities.ambient], [[], []])
    assert.equal(noNewPrivileges, true)
  })

  it('gives an ordinary user no capability', () => {
    const user = { uid: 1000, gid: 5, additionalGids: [7], home: '/home' }
    const { process } = build({}, { user })
    assert.deepEqual(process.user, { uid: 1000, gid: 5, additionalGids: [5, 7] })
    const { effective, permitted } = process.capabilities
    assert.deepEqual([effective, permitted], [[], []])
  })

  it('hides and protects what tells about the host', () => {
    const { maskedPaths, readonlyPaths } = build().linux
    for (const path of ['/proc/kcore', '/proc/keys', '/sys/firmware', ...FACTS.thermalPaths]) {
      assert.ok(maskedPaths.includes(path), path)
    }
    assert.ok(readonlyPaths.includes('/proc/sys'))
    assert.ok(readonlyPaths.includes('/proc/sysrq-trigger'))
    for (const path of ['/sys', '/sys/fs/cgroup']) {
      assert.ok(mountAt(build(), path)[0]?.options?.includes('ro'), path)
    }
  })

  it('is confined by the seccomp profile and may use no device of the host', () => {
    assert.equal(build().linux.seccomp?.defaultAction, 'SCMP_ACT_ERRNO')
    assert.deepEqual(build().linux.resources?.devices, [{ allow: false, access: 'rwm' }])
  })

  it('is named after its id', () => {
    assert.equal(build().hostname, '0123456789ab')
    assert.ok(build().process.env.includes('HOSTNAME=0123456789ab'))
    assert.equal(build({ hostname: 'box' }).hostname, 'box')
    assert.equal(build().linux.cgroupsPath, `/dray/${FACTS.id}`)
  })

  it('copies no label of the image', () => {
    const spec = buildSpec(imageOf({ Cmd: ['sh'], Labels: { 'run.oci.handler': 'x' } }), {}, FACTS)
    assert.equal(JSON.stringify(spec).includes('run.oci'), false)
  })

  it('has annotations and a domain name when asked to', () => {
    const spec = build({ annotations: { a: 'b' }, domainname: 'example.org' })
    assert.deepEqual(spec.annotations, { a: 'b' })
    assert.equal(spec.linux.sysctl?.['kernel.domainname'], 'example.org')
    const userNamespace = { highestGroup: 1000 }
    const inside = build({ domainname: 'example.org' }, { userNamespace })
    assert.equal(inside.linux.sysctl?.['kernel.domainname'], undefined)
    assert.equal(build().annotations, undefined)
  })

  it('limits processes always, memory, swap and processors when asked to', () => {
    assert.deepEqual(build().linux.resources, {
      devices: [{ allow: false, access: 'rwm' }],
      pids: { limit: 2048 },
    })
    const { memory, cpu, pids } =
      build({ memory: 64, cpus: 1.5, pidsLimit: -1 }).linux.resources ?? {}
    assert.deepEqual(memory, { limit: 64, swap: 64 })
    assert.deepEqual(cpu, { quota: 150_000, period: 100_000 })
    assert.deepEqual(pids, { limit: -1 })
    const withoutSwap = build({ memory: 64 }, { limitsSwap: false })
    assert.deepEqual(withoutSwap.linux.resources?.memory, { limit: 64 })
  })

  it('has limits of cgroup v1 and rates of devices when asked to', () => {
    const { memory } = build({ memorySwappiness: 0, oomKillDisable: true }).linux.resources ?? {}
    assert.deepEqual(memory, { swappiness: 0, disableOOMKiller: true })
    const blockIo = { throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1 }] }
    assert.deepEqual(build({}, { blockIo }).linux.resources?.blockIO, blockIo)
  })

  it('leaves out, and says so, what cgroup v2 has nothing for', () => {
    const said: string[] = []
    const onWarning = (message: string) => said.push(message)
    const asked = { memory: 1e9, memorySwappiness: 10, oomKillDisable: true }
    assert.deepEqual(withoutLimits(asked, V1_LIMITS, { onWarning }), {
      memory: 1e9,
      memorySwappiness: undefined,
      oomKillDisable: undefined,
    })
    assert.match(said.join(), /^--memory-swappiness is left out.*,--oom-kill-disable is left out/)
    withoutLimits({ memory: 1e9 }, V1_LIMITS, { onWarning: () => assert.fail() })
  })

  it('limits open files, never above what this process may have', () => {
    const limit = (openFilesLimit: number) => build({}, { openFilesLimit }).process.rlimits
    assert.deepEqual(limit(2 ** 20), [{ type: 'RLIMIT_NOFILE', soft: 1024, hard: 524_288 }])
    assert.deepEqual(limit(512), [{ type: 'RLIMIT_NOFILE', soft: 512, hard: 512 }])
  })

  it('has no /dev/shm with --ipc none, and an ipc namespace of its own', () => {
    const spec = build({ ipc: 'none', shmSize: 2 ** 20 })
    assert.deepEqual(mountAt(spec, '/dev/shm'), [])
    assert.ok(spec.linux.namespaces.some(({ type, path }) => type === 'ipc' && path === undefined))
    assert.equal(mountAt(build(), '/dev/shm').length, 1)
  })

  it('mounts volumes last, outer before inner, each in place of a default', () => {
    const texts = ['/h1:/data/in', '/h2:/data:ro', '/h3:/dev/shm', '/h4:/etc/hosts:ro']
    const volumes = texts.map((text) => ({ ...parseVolume(text), isDirectory: text < '/h4' }))
    const spec = build({}, { volumes })
    const places = spec.mounts.slice(-4).map((mount) => mount.destination)
    assert.deepEqual(places, ['/data', '/data/in', '/dev/shm', '/etc/hosts'])
    assert.equal(mountAt(spec, '/dev/shm').length, 1)
    assert.equal(mountAt(spec, '/etc/hosts').length, 1)
    assert.deepEqual(mountAt(spec, '/data')[0], {
      destination: '/data',
      type: 'bind',
      source: '/h2',
      options: ['rbind', 'rprivate', 'ro', 'rro'],
    })
    assert.deepEqual(mountAt(spec, '/etc/hosts')[0]?.options, ['rbind', 'rprivate', 'ro'])
    const old = build({}, { volumes, recursiveReadOnly: false })
    assert.deepEqual(mountAt(old, '/data')[0]?.options, ['rbind', 'rprivate', 'ro'])
  })

  it('makes the root file system and its files in /etc read-only on request', () => {
    assert.equal(build().root.readonly, false)
    assert.deepEqual(build({ readOnly: true }).root, { path: '/store/merged', readonly: true })
    assert.ok(mountAt(build({ readOnly: true }), '/etc/hosts')[0]?.options?.includes('ro'))
  })

  it('refuses a NUL byte in the words of an image', () => {
    for (const config of [{ Cmd: ['a\0'] }, { Cmd: ['a'], Env: ['A=\0'] }]) {
      assert.throws(() => buildSpec(imageOf(config), {}, FACTS), { code: 'IMAGE_CONFIG_INVALID' })
    }
  })
})
