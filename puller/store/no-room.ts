import { errnoOf } from '#oci/errno.ts'
import { DrayError, isDrayError } from '#oci/error.ts'

const FULL = new Set(['ENOSPC', 'EDQUOT'])

/** What makes room for a local store. */
const STORE_ADVICE =
  'make some (dray system df tells what takes it, dray system prune removes what nobody uses)'

/**
 * Does work that writes to a store, or to another place with its own advice.
 *
 * @throws STORE_FAILED that says what to do when there is no room left for it
 */
export async function withRoom<T>(
  place: string,
  work: () => Promise<T>,
  advice = STORE_ADVICE,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isFull(error)) throw error
    throw new DrayError('STORE_FAILED', `no room is left for ${place}: ${advice}, and try again`, {
      cause: error,
    })
  }
}

/** A system call said so, here, or in a thread that told which. */
function isFull(error: unknown): boolean {
  if (FULL.has(errnoOf(error) ?? '')) return true
  if (!isDrayError(error)) return false
  const { errno } = (error.detail ?? {}) as { readonly errno?: string }
  return FULL.has(errno ?? '') || isFull(error.cause)
}
