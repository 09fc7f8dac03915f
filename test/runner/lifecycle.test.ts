import assert from 'node:assert/strict'
import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { filterContainers, type Seen } from '#runner/containers/filter.ts'
import { dropName, idOfName, takeName } from '#runner/containers/names.ts'
import { readState } from '#runner/containers/state.ts'
import { containerPaths, containersDir } from '#runner/layout.ts'
import { DetachDetector, parseDetachKeys } from '#runner/monitor/detach-keys.ts'
import type { ContainerOptions } from '#runner/options.ts'
import { readBootId, startTicks } from '#runner/processes.ts'
import { type ContainerRecord, type Phase, type Run, writeRecord } from '#runner/record.ts'
import { startsAtBoot, systemdUnit } from '#runner/verbs/boot.ts'
import { nextRestart } from '#runner/verbs/ended.ts'
import { listSeen } from '#runner/verbs/list.ts'
import { tempDir } from '../support/temp-dir.ts'
import { rootfsOf } from './support/busybox.ts'

const ID = '0123456789abcdef'.repeat(4)

function recordOf(phase: Phase, options: ContainerOptions = {}): ContainerRecord {
  return {
    version: 2,
    id: ID,
    name: 'web',
    createdAt: '2026-01-01T00:00:00.000Z',
    image: 'app:1',
    rootfs: rootfsOf([], { Labels: { of: 'image' } }),
    options,
    runtime: '/usr/sbin/runc',
    runtimeRoot: '/run/dray/runc',
    keeper: 'monitor',
    phase,
  }
}

const RUN: Run = {
  startedAt: '2026-01-01T00:00:00.000Z',
  pid: process.pid,
  ticks: startTicks(process.pid) ?? '',
  bootId: readBootId(),
  monitorPid: process.pid,
  restarts: 0,
}

const ENDED = {
  name: 'ended',
  ...RUN,
  finishedAt: '2026-01-01T00:00:01.000Z',
  oomKilled: false,
} as const

function containerIn(t: TestContext, phase: Phase) {
  const paths = containerPaths(join(tempDir(t), 'containers'), ID)
  mkdirSync(paths.dir, { recursive: true })
  return { id: ID, paths, record: recordOf(phase) }
}

describe('the state of a container', () => {
  it('is running as long as the very process runs that was started', (t) => {
    assert.equal(readState(containerIn(t, { name: 'started', ...RUN })).status, 'running')
  })

  for (const [what, change] of [
    ['the number is another process’s', { ticks: '1' }],
    ['the host was booted since', { bootId: 'another' }],
    ['the process is gone', { pid: 2 ** 22 + 1 }],
  ] as const) {
    it(`is ended, and how is unknown, when ${what}`, (t) => {
      const run = { name: 'started', ...RUN, monitorPid: 2 ** 22 + 1, ...change } as const
      const state = readState(containerIn(t, run))
      assert.deepEqual(
        [state.status, state.exitCode, state.isSettled],
        ['exited', undefined, false],
      )
    })
  }

  it('is ended as the monitor wrote it down', (t) => {
    const container = containerIn(t, { name: 'started', ...RUN, bootId: 'another' })
    writeFileSync(container.paths.exit, '137')
    writeFileSync(container.paths.oom, '')
    const at = new Date('2026-01-02T03:04:05.000Z')
    utimesSync(container.paths.exit, at, at)
    const { status, exitCode, oomKilled, finishedAt } = readState(container)
    assert.deepEqual([status, exitCode, oomKilled], ['exited', 137, true])
    assert.equal(finishedAt, at.toISOString())
  })

  it('is ended as somebody noted meanwhile, who removed what the monitor wrote', async (t) => {
    const run = { name: 'started', ...RUN, pid: 2 ** 22 + 1, monitorPid: 2 ** 22 + 1 } as const
    const container = containerIn(t, run)
    const end = { finishedAt: ENDED.finishedAt, exitCode: 3, oomKilled: true }
    await writeRecord(container.paths, recordOf({ ...run, ...end, name: 'ended' }))
    const { exitCode, finishedAt, oomKilled } = readState(container)
    assert.deepEqual({ exitCode, finishedAt, oomKilled }, end)
    await writeRecord(
      container.paths,
      recordOf({ ...run, ...end, startedAt: '2026-01-02T00:00:00.000Z', name: 'ended' }),
    )
    assert.equal(readState(container).exitCode, undefined)
  })

  it('is ended in an unknown way when the monitor says so', (t) => {
    const container = containerIn(t, { name: 'started', ...RUN })
    writeFileSync(container.paths.exit, '-1')
    assert.equal(readState(container).exitCode, undefined)
  })
})

describe('listing containers', () => {
  it('removes what a removal that was cut off left of one', async (t) => {
    const root = tempDir(t)
    const [gone, half] = ['a'.repeat(64), 'b'.repeat(64)] as const
    takeName(root, gone, 'gone')
    const paths = containerPaths(containersDir(root), half)
    mkdirSync(join(paths.upper, 'etc'), { recursive: true })
    writeFileSync(paths.lock, '')
    takeName(root, half, 'half')
    assert.deepEqual(await listSeen(root, { all: true }), [])
    assert.ok(!existsSync(paths.dir))
    assert.equal(idOfName(root, 'gone') ?? idOfName(root, 'half'), undefined)
  })

  it('leaves one whose start was cut off as it was before, to be started after a boot', async (t) => {
    const root = tempDir(t)
    const startedAt = ENDED.startedAt
    const starting = { name: 'starting', bootId: 'another', startedAt } as const
    for (const [id, before] of [
      ['a'.repeat(64), ENDED],
      ['b'.repeat(64), undefined],
    ] as const) {
      const paths = containerPaths(containersDir(root), id)
      mkdirSync(paths.dir, { recursive: true })
      writeFileSync(paths.lock, '')
      const options = { restart: { name: 'always', maxRetries: 0 } } as const
      await writeRecord(paths, { ...recordOf({ ...starting, before }, options), id })
    }
    const seen = await listSeen(root, { all: true })
    const found = seen.map(({ container: { id, record } }) => [id[0], startsAtBoot(record)])
    assert.deepEqual(found.sort(), [
      ['a', true],
      ['b', false],
    ])
  })
})

describe('a name', () => {
  it('is one container’s, until that is gone or lets go', (t) => {
    const root = tempDir(t)
    const [a, b] = ['a'.repeat(64), 'b'.repeat(64)] as const
    mkdirSync(containerPaths(containersDir(root), a).dir, { recursive: true })
    assert.equal(takeName(root, a, 'web'), 'web')
    assert.throws(() => takeName(root, b, 'web'), { code: 'NAME_TAKEN' })
    dropName(root, b, 'web')
    assert.equal(idOfName(root, 'web'), a)
    dropName(root, a, 'web')
    assert.equal(takeName(root, b, 'web'), 'web')
    // The second one has no directory: it is gone.
    assert.equal(takeName(root, a, 'web'), 'web')
  })

  it('is made up when none is given', (t) => {
    assert.match(takeName(tempDir(t), ID, undefined), /^[a-z]+_[a-z]+$/)
  })

  for (const name of ['', 'a', '-a', 'a b', 'a/b', '../x', 'x'.repeat(201)]) {
    it(`is not ${JSON.stringify(name.slice(0, 20))}`, (t) => {
      assert.throws(() => takeName(tempDir(t), ID, name), { code: 'USAGE' })
    })
  }
})

describe('a policy to restart', () => {
  const after = (policy: ContainerOptions['restart'], end: Partial<Run> & { exitCode?: number }) =>
    nextRestart(recordOf({ ...ENDED, ...end } as Phase, { restart: policy }))

  it('starts what failed as often as it says, and what it always starts', () => {
    const policy = { name: 'on-failure', maxRetries: 2 } as const
    assert.deepEqual(after(policy, { exitCode: 1 }), { count: 1, pauseMs: 100 })
    assert.deepEqual(after(policy, { exitCode: 1, restarts: 1 } as never), {
      count: 2,
      pauseMs: 200,
    })
    assert.equal(after(policy, { exitCode: 1, restarts: 2 } as never), undefined)
    assert.equal(after(policy, { exitCode: 0 }), undefined)
    assert.equal(after({ name: 'always', maxRetries: 0 }, { exitCode: 0 })?.count, 1)
  })

  it('takes an end that nobody saw for a failure', () => {
    assert.equal(after({ name: 'on-failure', maxRetries: 0 }, {})?.count, 1)
  })

  it('leaves alone what was stopped', () => {
    assert.equal(after({ name: 'always', maxRetries: 0 }, { stopRequested: true }), undefined)
    assert.equal(after(undefined, { exitCode: 1 }), undefined)
    assert.equal(after({ name: 'always', maxRetries: 0 }, { isHalted: true }), undefined)
  })

  it('after a boot starts what was always to run, and what nobody stopped', () => {
    const starts = (name: 'always' | 'unless-stopped' | 'on-failure', stopRequested: boolean) =>
      startsAtBoot(recordOf({ ...ENDED, stopRequested }, { restart: { name, maxRetries: 0 } }))
    assert.deepEqual([starts('always', true), starts('always', false)], [true, true])
    assert.deepEqual(
      [starts('unless-stopped', true), starts('unless-stopped', false)],
      [false, true],
    )
    assert.equal(starts('on-failure', false), false)
    assert.equal(
      startsAtBoot(recordOf({ name: 'created' }, { restart: { name: 'always', maxRetries: 0 } })),
      false,
    )
    const unit = systemdUnit({ boot: ['/a b/node', 'x$y'], halt: ['/node', 'halt'] })
    assert.match(unit, /^ExecStart="\/a b\/node" x\$\$y$/m)
    assert.match(unit, /^ExecStop=\/node halt$/m)
    const ofUser = systemdUnit({ boot: ['/node'], halt: ['/node'] }, true)
    assert.match(ofUser, /^WantedBy=default\.target$/m)
    assert.doesNotMatch(ofUser, /network-online|multi-user/)
    assert.match(unit, /^After=network-online\.target local-fs\.target\n\n/m)
  })
})

describe('filters', () => {
  const seen = (options: ContainerOptions, exitCode?: number): Seen => {
    const record = { ...recordOf({ ...ENDED, exitCode }), options }
    const container = { id: ID, paths: containerPaths('/x', ID), record }
    return { container, state: readState(container) }
  }
  const data = { hostPath: '/v', containerPath: '/d', readOnly: false, name: 'data' }
  const one = seen({ labels: { tier: 'front' }, volumes: [data], network: 'back' }, 3)

  for (const [filters, matches] of [
    [[], true],
    [['label=tier'], true],
    [['label=tier=front', 'label=of=image'], true],
    [['label=tier=front', 'label=other'], false],
    [['name=we'], true],
    [['name=db', 'name=web'], true],
    [['id=0123'], true],
    [['status=exited', 'exited=3'], true],
    [['status=running'], false],
    [['exited=0'], false],
    [['volume=data'], true],
    [['volume=/d'], true],
    [['volume=dat'], false],
    [['network=back'], true],
    [['network=bridge'], false],
    [['ancestor=app:1'], true],
    [['ancestor=docker.io/library/app:1'], true],
    [['ancestor=app:2'], false],
  ] as const) {
    it(`${filters.join(' ')} ${matches ? 'match' : 'do not match'}`, () => {
      assert.equal(filterContainers([one], filters).length, matches ? 1 : 0)
    })
  }

  it('that make no sense are refused', () => {
    for (const filter of ['x', 'nosuch=1', 'constructor=1', 'status=nosuch', 'name=(']) {
      assert.throws(() => filterContainers([], [filter]), { code: 'USAGE' })
    }
  })
})

describe('keys to detach', () => {
  it('are found over pieces, and what only began as they do is handed on', () => {
    const detector = new DetachDetector(parseDetachKeys('ctrl-p,ctrl-q'))
    assert.deepEqual(detector.feed(Buffer.from('a\x10')), {
      pass: Buffer.from('a'),
      isDetach: false,
    })
    assert.deepEqual(detector.feed(Buffer.from('b')), {
      pass: Buffer.from('\x10b'),
      isDetach: false,
    })
    assert.deepEqual(detector.feed(Buffer.from('\x10')), { pass: Buffer.from(''), isDetach: false })
    assert.deepEqual(detector.feed(Buffer.from('\x11c')), { pass: Buffer.from(''), isDetach: true })
  })

  it('may be none, and must be keys', () => {
    const none = new DetachDetector(parseDetachKeys(''))
    assert.equal(none.feed(Buffer.from('\x10\x11')).isDetach, false)
    assert.throws(() => parseDetachKeys('ctrl-'), { code: 'USAGE' })
  })
})
