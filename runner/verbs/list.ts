import { removeHalves } from '../cleanup.ts'
import { areAboutState, filterContainers, type Seen } from '../containers/filter.ts'
import { listContainers } from '../containers/find.ts'
import { settleIfFree } from '../containers/settle.ts'
import { isRunning, readState } from '../containers/state.ts'

export interface ListOptions {
  /** Also those that don't run. */
  readonly all?: boolean | undefined
  /** `KEY=VALUE`, as docker's. */
  readonly filters?: readonly string[] | undefined
  /** Only the latest ones, running or not. */
  readonly last?: number | undefined
  /** Told of containers that can't be read. */
  readonly onTrouble?: ((error: unknown) => void) | undefined
}

/** The containers of a store, the latest first, and what they are doing. What a killed monitor left is tidied up. */
export async function listSeen(root: string, options: ListOptions = {}): Promise<Seen[]> {
  const { filters = [], last, onTrouble = () => undefined } = options
  const seen: Seen[] = []
  const halves: string[] = []
  const containers = await listContainers(root, onTrouble, (id) => halves.push(id))
  await removeHalves(root, halves).catch(onTrouble)
  for (const container of containers) {
    const state = readState(container)
    const needsRest = !state.isSettled && !isRunning(state)
    const now = needsRest
      ? await settleIfFree(root, container).catch((error: unknown) => {
          onTrouble(error)
          return container
        })
      : container
    if (now !== undefined)
      seen.push({ container: now, state: now === container ? state : readState(now) })
  }
  const matching = filterContainers(seen, filters)
  if (last !== undefined) return matching.slice(0, last)
  if (options.all || areAboutState(filters)) return matching
  return matching.filter(({ state }) => isRunning(state))
}
