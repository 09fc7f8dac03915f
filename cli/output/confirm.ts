import { DrayError } from '#oci/error.ts'
import { ask } from './ask.ts'
import { say } from './print.ts'

/**
 * Asks whether something that can't be taken back is meant, unless it is forced.
 *
 * @returns whether it is
 * @throws USAGE when there is nobody to ask
 */
export async function confirm(warning: string, force: boolean | undefined): Promise<boolean> {
  if (force) return true
  say(warning)
  if (!process.stdin.isTTY)
    throw new DrayError('USAGE', 'there is no terminal to ask: say so with --force')
  return /^y(?:es)?$/i.test((await ask('Are you sure you want to continue? [y/N] ')).trim())
}
