import { isInUserNamespace } from '#oci/user-namespace.ts'
import { findRuntime } from '../runtime.ts'
import { chooseUserMode, type UserModeProgram } from './user-mode/programs.ts'

/** Programs that a bridge needs. */
const PROGRAMS = ['ip', 'nft']

/**
 * The network of a container of which nothing is said: docker's bridge where this host can make one, else one that a program makes, or
 * none.
 */
export async function defaultNetwork(
  searchPath: string | undefined,
): Promise<'bridge' | 'none' | UserModeProgram> {
  const canBridge = !isInUserNamespace() && (await hasPrograms(searchPath))
  return canBridge ? 'bridge' : ((await chooseUserMode(searchPath)) ?? 'none')
}

async function hasPrograms(searchPath: string | undefined): Promise<boolean> {
  const found = await Promise.all(PROGRAMS.map((name) => findRuntime(name, searchPath)))
  return found.every(Boolean)
}
