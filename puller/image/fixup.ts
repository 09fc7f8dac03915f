import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { getuid } from 'node:process'
import { chainId } from '#oci/chain-id.ts'
import type { Digest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { findFixups, type StackedLayer, writeFixups } from '../layers/implied.ts'
import { exists, publish } from '../store/files.ts'
import { readLayer } from '../store/layers.ts'
import { holdLayers } from '../store/mounts.ts'
import type { Stage, Store } from '../store/store.ts'

/**
 * Makes the extra layer on top of a stack that gives implied directories the attributes they have in the layers
 * below. It is empty for most stacks, and made once for each.
 */
export async function ensureFixup(store: Store, diffIds: readonly Digest[]): Promise<void> {
  const chain = chainId(diffIds)
  if (chain === undefined || (await exists(store.layout.fixup(chain)))) return
  const stage = await stageFixup(store, diffIds)
  try {
    await publish(stage.dir, store.layout.fixup(chain))
  } finally {
    await stage.close()
  }
}

/** Makes the extra layer of a stack for somebody to put into place. It has no `tree` when it is empty. */
export async function stageFixup(store: Store, diffIds: readonly Digest[]): Promise<Stage> {
  const layers = await visibleLayers(store, diffIds)
  const stage = await store.stage()
  try {
    await mkdir(stage.dir, { mode: 0o755 })
    if (layers.some(mayNeedFixup)) await makeFixup(store, layers, join(stage.dir, 'tree'))
    return stage
  } catch (error) {
    await stage.close()
    throw error
  }
}

function mayNeedFixup({ implied, whiteoutParents = [] }: StackedLayer): boolean {
  return implied.length > 0 || whiteoutParents.length > 0
}

async function makeFixup(store: Store, layers: readonly StoredLayer[], tree: string) {
  const held = await holdLayers(
    store.layout,
    layers.map(({ dir }) => dir),
  )
  try {
    const fixups = findFixups(layers)
    if (fixups.length === 0) return
    await mkdir(tree, { mode: 0o755 })
    writeFixups(fixups, tree, { asRoot: getuid?.() === 0 })
  } finally {
    await held.release()
  }
}

/** A layer of a stack in the store. One that must be mounted is there only while it is held. */
export interface StoredLayer extends StackedLayer {
  readonly dir: string
}

/** The layers of a stack that can be seen: those from the last one on that hides everything below it. */
export async function visibleLayers(
  store: Store,
  diffIds: readonly Digest[],
): Promise<StoredLayer[]> {
  let stack: StoredLayer[] = []
  for (const diffId of diffIds) {
    const record = readLayer(store.layout, diffId)
    if (record === undefined)
      throw new DrayError(
        'STORE_FAILED',
        `layer ${diffId} is gone from the local store: pull the image again`,
      )
    if (record.opaqueRoot) stack = []
    const { form, implied, whiteoutParents } = record
    const dir = form === 'dir' ? store.layout.layer(diffId).tree : store.layout.mount(diffId)
    stack.push({ dir, implied, whiteoutParents })
  }
  return stack
}
