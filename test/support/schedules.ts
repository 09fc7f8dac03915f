import { setImmediate as turn } from 'node:timers/promises'

/** One of several who work on one thing at once. Every step that the others can notice goes through `step`. */
export type Actor = (step: <T>(work: () => Promise<T>) => Promise<T>) => Promise<unknown>

export interface World {
  readonly actors: readonly Actor[]
  /** Asserts on the world when all have ended. */
  check(outcomes: readonly PromiseSettledResult<unknown>[]): Promise<void>
}

export interface Exploration {
  /** Makes a fresh world, and who works in it. */
  world(): Promise<World>
  /** How often, at most, somebody who could go on has to wait for another; default: as often as can be. */
  readonly preemptions?: number
  /** One actor that takes so many steps, then is killed. */
  readonly killed?: { readonly actor: number; readonly steps: number } | undefined
}

/**
 * Runs a world in every order in which the steps of its actors can follow each other. Returns how many that were.
 *
 * @throws what a check throws, with the order that led there
 */
export async function explore(exploration: Exploration): Promise<number> {
  let schedule: number[] | undefined = []
  let runs = 0
  while (schedule !== undefined) {
    const choices: Choice[] = await runOnce(exploration, schedule)
    schedule = nextSchedule(choices, exploration.preemptions ?? Number.POSITIVE_INFINITY)
    runs++
  }
  return runs
}

/** Actors that could go on at one moment, the one that went last first; which of them did. */
interface Choice {
  readonly options: readonly number[]
  readonly chosen: number
  readonly isPreemption: boolean
}

async function runOnce(
  { world, killed }: Exploration,
  schedule: readonly number[],
): Promise<Choice[]> {
  const { actors, check } = await world()
  const waiting = actors.map((): (() => void)[] => [])
  const steps = actors.map(() => 0)
  const dead = new Set<number>()
  const outcomes = actors.map((actor, i) =>
    actor(async (work) => {
      await new Promise<void>((resolve) => waiting[i]?.push(resolve))
      return work()
    }),
  )
  const settled = Promise.allSettled(outcomes.filter((_, i) => i !== killed?.actor))
  const choices: Choice[] = []
  let last = -1
  for (;;) {
    await turn()
    if (killed !== undefined && steps[killed.actor] === killed.steps) dead.add(killed.actor)
    const ready = waiting.flatMap((queue, i) => (queue.length > 0 && !dead.has(i) ? [i] : []))
    if (ready.length === 0) break
    const options = [...ready.filter((i) => i === last), ...ready.filter((i) => i !== last)]
    const chosen = schedule[choices.length] ?? 0
    choices.push({ options, chosen, isPreemption: ready.includes(last) })
    last = options[chosen] ?? 0
    steps[last] = (steps[last] ?? 0) + 1
    waiting[last]?.shift()?.()
  }
  try {
    await check(await settled)
  } catch (cause) {
    const order = choices.map(({ options, chosen }) => options[chosen]).join('')
    throw new Error(`in the order ${order}: ${(cause as Error).message}`, { cause })
  }
  return choices
}

/** The next order: the last choice that has an alternative left takes it, what follows goes by default. */
function nextSchedule(choices: readonly Choice[], preemptions: number): number[] | undefined {
  const isSpent = ({ chosen, isPreemption }: Choice) => isPreemption && chosen > 0
  for (let at = choices.length - 1; at >= 0; at--) {
    const choice = choices[at]
    if (choice === undefined || choice.chosen + 1 >= choice.options.length) continue
    const spent = choices.slice(0, at).filter(isSpent).length
    if (choice.isPreemption && spent + 1 > preemptions) continue
    return [...choices.slice(0, at).map(({ chosen }) => chosen), choice.chosen + 1]
  }
  return undefined
}
