import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { whyNoLimits } from '#runner/cgroup.ts'
import { cgroupOf, cgroupsPathOf, checkCgroupManager } from '#runner/cgroup-path.ts'
import type { ContainerOptions } from '#runner/options.ts'
import { controllersWithout, limitsHeld } from '#runner/spec/limits.ts'

const ID = 'ab12'
const HOST = undefined
const ALICE = 1000
const OF_ALICE = '/user.slice/user-1000.slice/user@1000.service'

describe('the cgroup of a container', () => {
  const CASES: readonly (readonly [
    string,
    ContainerOptions,
    number | undefined,
    spec: string,
    path: string,
  ])[] = [
    ['is one of the runtime', {}, HOST, '/dray/ab12', '/dray/ab12'],
    ['is below another one', { cgroupParent: '/a/b' }, HOST, '/a/b/ab12', '/a/b/ab12'],
    [
      'is below a slice that nobody told systemd of',
      { cgroupParent: '/x.slice' },
      HOST,
      '/x.slice/ab12',
      '/x.slice/ab12',
    ],
    [
      'is a scope of systemd',
      { cgroupManager: 'systemd' },
      HOST,
      'dray.slice:dray:ab12',
      '/dray.slice/dray-ab12.scope',
    ],
    [
      'is below a slice in slices',
      { cgroupManager: 'systemd', cgroupParent: '/a-b-c.slice' },
      HOST,
      'a-b-c.slice:dray:ab12',
      '/a.slice/a-b.slice/a-b-c.slice/dray-ab12.scope',
    ],
    [
      'is of an ordinary user’s systemd, without being asked for',
      {},
      ALICE,
      'dray.slice:dray:ab12',
      `${OF_ALICE}/dray.slice/dray-ab12.scope`,
    ],
  ]
  for (const [title, options, owner, spec, path] of CASES) {
    it(title, () => {
      assert.equal(cgroupsPathOf(ID, options, owner), spec)
      assert.equal(cgroupOf(ID, options, owner), path)
    })
  }

  for (const cgroupParent of ['/services', '/.slice', '/-a.slice', '/a--b.slice', '/a-.slice']) {
    it(`of systemd is not below ${cgroupParent}`, () => {
      const options: ContainerOptions = { cgroupManager: 'systemd', cgroupParent }
      assert.throws(() => checkCgroupManager(options), { code: 'USAGE', message: /\.slice/ })
    })
  }

  it('is not made by systemd where it does not run', {
    skip: existsSync('/run/systemd/system'),
  }, () => {
    assert.throws(() => checkCgroupManager({ cgroupManager: 'systemd' }), {
      code: 'RUN_FAILED',
      message: /--cgroup-manager cgroupfs/,
    })
    checkCgroupManager({ cgroupManager: 'cgroupfs' })
  })
})

describe('limits without a controller', () => {
  const wanted: ContainerOptions = { memory: 64, cpus: 1, cpusetCpus: '0', pidsLimit: 9, tty: true }
  const v2 = { mode: 'v2', strayControllers: [], mountPoints: [] } as const

  it('are named by the controllers that they need', () => {
    assert.deepEqual(controllersWithout(wanted, ['memory', 'pids']), ['cpu', 'cpuset'])
    assert.deepEqual(controllersWithout(wanted, ['memory', 'pids', 'cpu', 'cpuset', 'io']), [])
    assert.deepEqual(controllersWithout({}, []), [])
  })

  it('are left out, and nothing else is', () => {
    const { cpus, cpusetCpus, memory, pidsLimit, tty } = limitsHeld(wanted, ['memory', 'pids'])
    assert.deepEqual(
      [cpus, cpusetCpus, memory, pidsLimit, tty],
      [undefined, undefined, 64, 9, true],
    )
    assert.deepEqual(limitsHeld(wanted), wanted)
  })

  it('are explained', () => {
    const controllers = ['memory', 'pids', 'cpu']
    assert.match(whyNoLimits(wanted, { ...v2, controllers }) ?? '', /no cgroup controller cpuset/)
    assert.equal(whyNoLimits({ memory: 1 }, { ...v2, controllers }), undefined)
    const none = { ...v2, controllers: [], obstacle: 'because' }
    assert.equal(whyNoLimits({ memory: 1 }, none), 'because')
    assert.equal(whyNoLimits({}, none), undefined)
  })
})
