/** Commands on containers, which kill -9 ends at random moments, or the runtime or monitor that they need, and what is left then. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { runnerContext } from '#cli/containers.ts'
import { isFrozen } from '#runner/cgroup.ts'
import { cgroupOf } from '#runner/cgroup-path.ts'
import type { ContainerRecord } from '#runner/record.ts'
import { createContainer } from '#runner/verbs/create.ts'
import { listSeen } from '#runner/verbs/list.ts'
import { startContainer } from '#runner/verbs/start.ts'
import { type Container, isRunning, readNumber, readState } from '#runner/containers/state.ts'
import { findContainer } from '#runner/containers/find.ts'
import { containerStore } from '../support/container-store.ts'
import { LAUNCHER } from '../support/dray.ts'
import { tempDir } from '../support/temp-dir.ts'
import { hostLeftovers, killNow, seededRandom } from './support/kills.ts'
import { exitOf, until } from './support/run.ts'

/** What is killed: the command, a runtime that it has started, or the container's monitor meanwhile. */
type Victim = 'dray' | 'runc' | 'conmon'

/** Each command, and what is killed of it, one in each round. */
const COMMANDS: Readonly<Record<string, readonly Victim[]>> = {
  'stop -t 1 NAME': ['dray', 'conmon', 'dray'],
  'restart -t 1 NAME': ['dray', 'runc', 'conmon'],
  'rm -f NAME': ['runc', 'dray', 'dray'],
  'exec NAME true': ['dray', 'runc', 'conmon'],
  'kill NAME': ['dray', 'conmon', 'dray'],
  'start NAME': ['dray', 'runc', 'dray'],
  'pause NAME': ['runc', 'dray', 'runc'],
  'cp NAME:/bin DIR': ['dray', 'dray', 'dray'],
  'commit NAME NAME:1': ['dray', 'dray', 'dray'],
  'update --memory 64m NAME': ['runc', 'dray', 'runc'],
}
/** Of containers that don't run. */
const AT_REST = /^(?:start|cp) /
const ROUNDS = 3
/** Longest time from the moment that a runtime is seen to its end. */
const RUNTIME_MS = 60

const store = containerStore()
const { dray, ok } = store

/** The runtime that a command has started. */
function runtimeOf(pid: number): number | undefined {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ')
    const found = children.find(
      (child) => readFileSync(`/proc/${child}/comm`, 'latin1') === 'runc\n',
    )
    return found === undefined ? undefined : Number(found)
  } catch {
    return undefined
  }
}

/** Runs a command and kills a victim, so long after its start, or after a runtime is there. @returns whether something was killed */
async function hit(
  args: readonly string[],
  victim: Victim,
  moment: {
    readonly atMs: number
    readonly runtimeMs: number
    readonly monitor: () => number | undefined
  },
): Promise<boolean> {
  const child = store.start(...args)
  const { pid = 0 } = child
  const ended = exitOf(child)
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  child.stdout?.resume()
  child.stderr?.resume()
  let found: number | undefined
  if (victim === 'runc') {
    for (; found === undefined && !hasEnded(); found = runtimeOf(pid)) await delay(2)
    if (found !== undefined) await delay(moment.runtimeMs)
  } else {
    await Promise.race([delay(moment.atMs), ended])
    found = victim === 'dray' ? pid : moment.monitor()
  }
  const isHit = !hasEnded() && killNow(found)
  await ended
  return isHit
}

const commands = Object.keys(COMMANDS)

describe('containers, of which commands are killed at random moments', () => {
  it('are listed, told of, started again and removed, and leave nothing', async (t) => {
    const random = seededRandom(t)
    const dir = tempDir(t)
    const root = store.root
    const context = { ...runnerContext({ root }), whenEnded: [LAUNCHER, 'ended', '--root', root] }
    await ok('network', 'create', 'net')
    const script = 'trap "exit 3" TERM; echo hello; sleep 1000 & wait'
    const modelWith = async (...flags: readonly string[]) => {
      const id = await ok('create', ...flags, 'busybox:1', 'sh', '-c', script)
      return (await findContainer(root, id)).record
    }
    const policy = ['--restart', 'unless-stopped']
    const models = [
      await modelWith('--network', 'net', '-p', '127.0.0.1::80', ...policy),
      await modelWith('--network', 'none'),
    ]

    const make = async (at: number, name: string): Promise<Container> => {
      const { rootfs, options } = models[at % models.length] as ContainerRecord
      const made = await createContainer(rootfs, { ...options, name }, context)
      if (!AT_REST.test(commands[at] ?? '')) await startContainer(made, context)
      return made
    }
    const wordsOf = (command: string, name: string) =>
      command.replaceAll('NAME', name).replace('DIR', dir).split(' ')
    const removeAll = async () => {
      const names = (await ok('ps', '-a', '--format', '{{.Names}}')).split('\n').filter(Boolean)
      assert.equal((await dray('logs', names[0] ?? '')).code, 0)
      await ok('rm', '-f', ...names)
      assert.deepEqual(await listSeen(root, { all: true }), [])
    }

    const seen: string[] = []
    const lasted = new Map<string, number>()
    await Promise.all(
      commands.map(async (command, at) => {
        const { id } = await make(at, `whole-${at}`)
        seen.push(id)
        const before = performance.now()
        await ok(...wordsOf(command, `whole-${at}`))
        lasted.set(command, performance.now() - before)
      }),
    )
    await removeAll()

    let hits = 0
    for (let round = 0; round < ROUNDS; round++) {
      const made = await Promise.all(commands.map((_, at) => make(at, `c${round}-${at}`)))
      seen.push(...made.map((container) => container.id))
      const moments = commands.map((command, at) => ({
        atMs: (0.2 + 0.8 * random()) * (lasted.get(command) ?? 0),
        runtimeMs: random() * RUNTIME_MS,
        monitor: () => readNumber(made[at]?.paths.monitorPid ?? ''),
      }))
      const killed = await Promise.all(
        commands.map((command, at) =>
          hit(
            wordsOf(command, `c${round}-${at}`),
            COMMANDS[command]?.[round] ?? 'dray',
            moments[at] as (typeof moments)[number],
          ),
        ),
      )
      hits += killed.filter(Boolean).length
      // What a commit paused goes on by itself.
      const commit = made[commands.findIndex((command) => command.startsWith('commit'))]
      const isPaused = () => commit !== undefined && isFrozen(cgroupOf(commit.id))
      await until('the committed container goes on', () => !isPaused(), 60_000)
      const troubles: unknown[] = []
      const onTrouble = (error: unknown) => troubles.push(error)
      for (const { container, state } of await listSeen(root, { all: true, onTrouble })) {
        if (!isRunning(state)) await startContainer(container, context)
      }
      assert.deepEqual(troubles, [])
      await removeAll()
    }
    t.diagnostic(`${hits} of ${ROUNDS * commands.length} were killed before they ended`)
    assert.ok(hits > (ROUNDS * commands.length) / 2, `only ${hits} were killed`)
    const left = () => [...store.leftovers(), ...hostLeftovers(root, seen)]
    await until('nothing is left', () => left().length === 0).catch(() => undefined)
    assert.deepEqual(left(), [])
  })

  it('go on when they were paused by a commit that was killed', async () => {
    const script = 'head -c 40m /dev/urandom >/file; echo written; exec sleep 1000'
    await ok('run', '-d', '--name', 'big', 'busybox:1', 'sh', '-c', script)
    await until('it has written', async () => (await ok('logs', 'big')) === 'written')
    const container = await findContainer(store.root, 'big')
    const commit = store.start('commit', 'big', 'big:1')
    const ended = exitOf(commit)
    await until('it is paused', () => readState(container).status === 'paused', 60_000)
    killNow(commit.pid)
    await ended
    await until('it goes on', () => readState(container).status === 'running', 60_000)
    await ok('rm', '-f', 'big')
  })

  it('are restarted by their policy again after a stop that was killed, once somebody started them', async () => {
    const script = 'trap "" TERM; while :; do sleep 1; done'
    const policy = ['--restart', 'unless-stopped']
    await ok('run', '-d', '--name', 'deaf', ...policy, 'busybox:1', 'sh', '-c', script)
    const isStopped = async () => {
      const { phase } = (await findContainer(store.root, 'deaf')).record
      return phase.name === 'started' && phase.stopRequested === true
    }
    const stop = store.start('stop', '-t', '1000', 'deaf')
    const ended = exitOf(stop)
    await until('it is to stop', isStopped, 60_000)
    killNow(stop.pid)
    await ended
    await ok('start', 'deaf')
    assert.equal(await isStopped(), false)
    await ok('rm', '-f', 'deaf')
  })

  it('are removed while they are paused, though the runtime knows nothing of them any more', async () => {
    await ok('run', '-d', '--name', 'frozen', 'busybox:1', 'sleep', '1000')
    await ok('pause', 'frozen')
    const { record } = await findContainer(store.root, 'frozen')
    rmSync(join(record.runtimeRoot, record.id), { recursive: true })
    await ok('rm', '-f', 'frozen')
  })
})
