import type { DrayError } from '#oci/error.ts'
import { say } from './print.ts'

/** Says what went wrong, and with `--debug` where that came from. */
export function sayFailure(error: DrayError, debug: boolean): void {
  say(`dray: ${error.message}`)
  if (!debug) return
  const cause = error.cause === undefined ? '' : `\ncaused by: ${error.cause}`
  say(`${error.code}\n${error.stack}${cause}`)
}
