/** Containers whose `dray run`, monitor or runtime kill -9 ends at random moments, and what the next commands make of what is left. */
import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { containerStore } from '../support/container-store.ts'
import { tempDir } from '../support/temp-dir.ts'
import { hostLeftovers, killNow, processesOf, seededRandom } from './support/kills.ts'
import { exitOf, until } from './support/run.ts'

/** Other commands are killed in killed-commands.root.test.ts. */
const KILLS = 70
/** How many commands run at once, each of which is hit, before somebody looks at what is left. */
const AT_ONCE = 10
/** Longest time from the moment that the victim is there to its end. */
const LATEST_MS = { dray: 1500, conmon: 400, runc: 150 } as const

type Victim = keyof typeof LATEST_MS

const store = containerStore()
const { dray, ok } = store

/** Runs a command, and kills it, or a monitor or runtime that runs meanwhile, so long after that is there. */
async function hit(victim: Victim, afterMs: number, args: readonly string[]): Promise<void> {
  const child = store.start(...args)
  const ended = exitOf(child)
  child.stdout?.resume()
  child.stderr?.resume()
  if (victim === 'dray') {
    await Promise.race([delay(afterMs), ended])
    killNow(child.pid)
  } else {
    let found: number | undefined
    while (found === undefined && child.exitCode === null && child.signalCode === null) {
      found = processesOf(victim, [store.root]).at(-1)
      if (found === undefined) await delay(10)
    }
    await delay(afterMs)
    killNow(found)
  }
  await ended
}

describe('containers, whose processes are killed at random moments', { timeout: 900_000 }, () => {
  it('are listed, told of and removed, and leave nothing', async (t) => {
    const random = seededRandom(t)
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
    await ok('network', 'create', 'net')
    const seen = new Set<string>()
    for (let round = 0; round < KILLS / AT_ONCE; round++) {
      const names = Array.from({ length: AT_ONCE }, (_, at) => `c${round}-${at}`)
      const hits = names.map((name, at) => {
        const network =
          at % 2 === 0 ? ['--network', 'net', '-p', '127.0.0.1::80'] : ['--network', 'none']
        const victim = pick<Victim>(['dray', 'dray', 'conmon', 'runc'])
        // Before somebody's eyes there is no monitor, and what isn't hit ends by itself.
        const isSeen = at % 5 < 2 && victim !== 'conmon'
        const policy = at % 3 === 0 ? ['--restart', 'always'] : []
        const flags = ['--name', name, ...network, ...(isSeen ? ['--rm'] : ['-d', ...policy])]
        const script = `echo hello; exec sleep ${isSeen ? 3 : 1000}`
        const args = ['run', ...flags, 'busybox:1', 'sh', '-c', script]
        return { victim, afterMs: random() * LATEST_MS[victim], args }
      })
      await Promise.all(hits.map(({ victim, afterMs, args }) => hit(victim, afterMs, args)))
      for (const name of readdirSync(join(store.root, 'containers'))) seen.add(name)
      const listed = (await ok('ps', '-aq', '--no-trunc')).split('\n').filter(Boolean)
      for (const id of listed.slice(0, 2)) assert.equal((await dray('logs', id)).code, 0)
      if (listed.length > 0) await ok('rm', '-f', ...listed)
    }
    const ids = [...seen]
    // The busier the machine, the more are hit before they have made one.
    assert.ok(ids.length > KILLS / 10, `only ${ids.length} containers were made`)
    const left = () => [...store.leftovers(), ...hostLeftovers(store.root, ids)]
    // A runtime whose container is gone notices that by itself.
    await until('nothing is left', () => left().length === 0).catch(() => undefined)
    assert.deepEqual(left(), [])
  })

  it('are given up when the runtime is killed while one waits to be started', async (t) => {
    const runtime = join(tempDir(t), 'runtime')
    // The monitor may not have lived to say its number, and what it leaves has a PID namespace of its own, as a container has, and the descriptors that it was given.
    const script = `#!/bin/sh
case " $* " in
  *' create '*)
    unshare --pid --fork sleep 1000 &
    sleep 0.5
    rm ${store.root}/containers/*/monitor.pid
    kill -9 $! $$ ;;
  *) exec runc "$@" ;;
esac
`
    writeFileSync(runtime, script, { mode: 0o755 })
    const { code, stderr } = await dray(
      'run',
      '-d',
      '--name',
      'torn',
      '--runtime',
      runtime,
      'busybox:1',
    )
    assert.notEqual(code, 0)
    assert.match(stderr, /^dray: ./)
    await ok('rm', '-f', 'torn')
  })
})
