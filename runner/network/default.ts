import { isInUserNamespace } from '#oci/user-namespace.ts'
import { findRuntime } from '../runtime.ts'

/** Programs that a bridge needs. */
const PROGRAMS = ['ip', 'nft']

/** The network of a container of which nothing is said: docker's bridge where this host can make one, or none. */
export async function defaultNetwork(searchPath: string | undefined): Promise<'bridge' | 'none'> {
  if (isInUserNamespace()) return 'none'
  const found = await Promise.all(PROGRAMS.map((name) => findRuntime(name, searchPath)))
  return found.every(Boolean) ? 'bridge' : 'none'
}
