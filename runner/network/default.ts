import { isInUserNamespace } from '#oci/user-namespace.ts'
import { findRuntime } from '../runtime.ts'
import { chooseUserMode, type UserModeProgram } from './user-mode/programs.ts'

/** Programs that a bridge needs. */
const PROGRAMS = ['ip', 'nft']

/**
 * The network of a container of which nothing is said: docker's bridge where this host can make one, else one that a program makes, or
 * none.
 */
export function defaultNetwork(
  searchPath: string | undefined,
): 'bridge' | 'none' | UserModeProgram {
  const canBridge = !isInUserNamespace() && hasPrograms(searchPath)
  return canBridge ? 'bridge' : (chooseUserMode(searchPath) ?? 'none')
}

function hasPrograms(searchPath: string | undefined): boolean {
  return PROGRAMS.every((name) => findRuntime(name, searchPath) !== undefined)
}
