import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** Numbers from 0 to 1 that the seed gives again which the test says. */
export function seededRandom(t: TestContext): () => number {
  const seed = Number(process.env.SEED ?? randomInt(2 ** 31))
  t.diagnostic(`SEED=${seed}`)
  return randomFrom(seed)
}

/** mulberry32 */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** How old a look at the host's processes may be. */
const LOOK_EVERY_MS = 10

let commandLines: readonly (readonly [pid: number, line: string])[] = []
let readAt = Number.NEGATIVE_INFINITY

/** The processes of a program that name the store, or a container of it. Who wait for some at once share looks, which take milliseconds each. */
export function processesOf(program: string, names: readonly string[]): number[] {
  if (performance.now() - readAt > LOOK_EVERY_MS) {
    commandLines = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => [Number(pid), commandLineOf(pid)] as const)
    readAt = performance.now()
  }
  return commandLines
    .filter(([, line]) => {
      const [path = ''] = line.split('\0', 1)
      return path.endsWith(`/${program}`) && names.some((name) => line.includes(name))
    })
    .map(([pid]) => pid)
}

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    return '' // it has ended
  }
}

/** @returns whether it was there */
export function killNow(pid: number | undefined): boolean {
  try {
    return pid !== undefined && process.kill(pid, 'SIGKILL')
  } catch {
    return false // it has ended
  }
}

/** Cgroups, runtimes' state, network namespaces and processes of containers. */
export function hostLeftovers(root: string, ids: readonly string[]): string[] {
  const names = (dir: string) => (existsSync(dir) ? readdirSync(dir) : [])
  const places = ['/run/dray/runc', ...globSync('/sys/fs/cgroup/{,*/}dray')]
  return [
    ...places.flatMap((place) =>
      names(place)
        .filter((name) => ids.includes(name))
        .map((name) => join(place, name)),
    ),
    ...names('/run/netns').filter((name) => ids.some((id) => name.includes(id.slice(0, 12)))),
    ...['conmon', 'runc', 'sleep'].flatMap((program) => processesOf(program, [root])),
  ].map(String)
}
