import { DrayError, isDrayError } from '#oci/error.ts'
import { openBench } from './bench.ts'
import { quickChecks } from './checks.ts'

/**
 * Checks, when a registry starts, that a bucket can be written to and honours conditions, on which the safety of
 * concurrent pushes rests. `dray registry check` tries more.
 *
 * @throws CONFIG_INVALID saying what to change, STORAGE_FAILED when the server can't be reached
 */
export async function probeBucket(options: Parameters<typeof openBench>[0]): Promise<void> {
  const bench = openBench(options)
  try {
    for (const { run } of quickChecks(bench)) await run()
  } catch (error) {
    if (isDrayError(error)) throw error
    throw new DrayError('CONFIG_INVALID', (error as Error).message, { cause: error })
  } finally {
    await bench.close()
  }
}
