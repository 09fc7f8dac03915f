import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { getuid } from 'node:process'
import { digestOf } from '#oci/digest.ts'
import { DrayError, errorMessage } from '#oci/error.ts'
import { isInUserNamespace } from '#oci/user-namespace.ts'
import { type MountSource, mountLayerImage } from '../layers/erofs/mount.ts'
import { createErofsExtractor } from '../layers/extract.ts'
import { mountOverlay, unmountIdle } from '../mounting.ts'
import type { LayerFormName } from './layers.ts'
import { layerParts } from './layout.ts'
import { oncePerStore } from './once-per-store.ts'
import type { Store } from './store.ts'

/** The form that new layers get in a store. */
export interface LayerFormChoice {
  readonly form: LayerFormName
  /** Why, for people. */
  readonly reason: string
}

/**
 * Chooses the form of new layers: the one that was asked for, else `erofs` where this process can mount a layer of that form from
 * this store and stack it by overlay. That is found out by trying, with a layer of one file.
 *
 * @throws STORE_FAILED when `erofs` was asked for and can't be
 */
export const chooseLayerForm = oncePerStore(choose)

async function choose(store: Store): Promise<LayerFormChoice> {
  const { layerStore } = store
  if (layerStore === 'dir') return { form: 'dir', reason: 'as asked for' }
  const found = await tryErofs(store)
  if (layerStore === 'auto') return found
  if (found.form === 'erofs') return { form: 'erofs', reason: 'as asked for' }
  throw new DrayError(
    'STORE_FAILED',
    `layers can't be of form erofs here, as asked for: ${found.reason}. Go on without --layer-store erofs (DRAY_LAYER_STORE), and they are directories`,
  )
}

async function tryErofs(store: Store): Promise<LayerFormChoice> {
  if (getuid?.() !== 0 || isInUserNamespace())
    return { form: 'dir', reason: 'only root can mount layers' }
  const stage = await store.stage()
  try {
    mkdirSync(stage.dir, { mode: 0o700 })
    const source = tryLayer(stage.dir)
    const reason =
      source === 'file'
        ? 'this kernel mounts layers from files'
        : 'this kernel mounts layers from loop devices'
    return { form: 'erofs', reason }
  } catch (error) {
    return {
      form: 'dir',
      reason: `a layer of form erofs can't be mounted here: ${errorMessage(error)}`,
    }
  } finally {
    await stage.close()
  }
}

const EMPTY_TAR = Buffer.alloc(1024)

function tryLayer(dir: string): MountSource {
  const { tar, image } = layerParts(dir)
  const [target, merged, empty] = [join(dir, 'target'), join(dir, 'merged'), join(dir, 'empty')]
  for (const path of [target, merged, empty]) mkdirSync(path)
  const extractor = createErofsExtractor({ tar, image })
  extractor.keep(EMPTY_TAR)
  extractor.finish({ diffId: digestOf(EMPTY_TAR), tarBytes: EMPTY_TAR.length })
  const source = mountLayerImage({ tar, image, target })
  try {
    mountOverlay([target, empty], merged)
    readdirSync(merged)
    return source
  } finally {
    for (const path of [merged, target]) unmountIdle(path)
  }
}
