import { join } from 'node:path'
import type { Digest } from '#oci/digest.ts'
import { stageFixup } from '../image/fixup.ts'
import { exists } from '../store/files.ts'
import { replaceWith } from '../store/layers.ts'
import type { Store } from '../store/store.ts'
import { differenceAt } from './layers.ts'

/**
 * Compares the fix-up of a stack with one that is made again from its layers, which are right, and puts that one in its place if
 * asked to. A container that runs keeps what it has until it is started again.
 *
 * @returns what is wrong with it, or was; undefined when nothing is, or there is none yet
 */
export async function checkFixup(
  store: Store,
  chain: Digest,
  diffIds: readonly Digest[],
  repair: boolean,
): Promise<string | undefined> {
  const dir = store.layout.fixup(chain)
  if (!(await exists(dir))) return undefined
  const stage = await stageFixup(store, diffIds)
  try {
    const [tree, right] = [join(dir, 'tree'), join(stage.dir, 'tree')]
    const why = await whatIsWrong(tree, right)
    if (why !== undefined && repair) await replaceWith(store, dir, stage)
    return why
  } finally {
    await stage.close()
  }
}

async function whatIsWrong(tree: string, right: string): Promise<string | undefined> {
  if (await exists(right)) return await differenceAt(tree, right, 'tree', 'its layers give')
  return (await exists(tree)) ? `${tree} should not be there` : undefined
}
