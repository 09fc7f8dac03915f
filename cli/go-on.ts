import { sayFailure } from './output/failure.ts'
import { asToldError } from './output/system-error.ts'

/** Does something of several. What fails is said, and doesn't stop the others; the exit code tells. @returns undefined then */
export async function orGoOn<T>(
  { root, debug }: { readonly root?: string | undefined; readonly debug: boolean },
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    const known = asToldError(error, root)
    if (known === undefined) throw error
    sayFailure(known, debug)
    process.exitCode = 1
    return undefined
  }
}
