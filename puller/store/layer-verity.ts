import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '#oci/errno.ts'
import { DrayError } from '#oci/error.ts'
import { enableVerity } from '../verity.ts'
import { chooseLayerForm } from './layer-form.ts'
import { oncePerStore } from './once-per-store.ts'
import type { Store } from './store.ts'

/**
 * Whether new layers of a store get fs-verity.
 *
 * @throws STORE_FAILED when that was asked for and can't be
 */
export async function givesVerity(store: Store): Promise<boolean> {
  if (!store.layerVerity) return false
  const obstacle = await verityObstacle(store)
  if (obstacle === undefined) return true
  throw new DrayError(
    'STORE_FAILED',
    `cannot give layers in ${store.layout.root} fs-verity: ${obstacle}. Go on without --layer-verity (DRAY_LAYER_VERITY), or choose another store with --root`,
  )
}

/** Why layers of a store can't have fs-verity; undefined when they can. That is found out by trying. */
export const verityObstacle = oncePerStore(findObstacle)

async function findObstacle(store: Store): Promise<string | undefined> {
  const { form } = await chooseLayerForm(store)
  if (form !== 'erofs') return `it is for layers of form erofs, and here they are of form ${form}`
  const stage = await store.stage()
  try {
    await mkdir(stage.dir, { mode: 0o700 })
    const file = join(stage.dir, 'file')
    await writeFile(file, 'a file')
    enableVerity(file)
    return undefined
  } catch (error) {
    return explain(errnoOf(error)) ?? String(error)
  } finally {
    await stage.close()
  }
}

const EXT4_FEATURES = '/sys/fs/ext4/features'

function explain(errno: string | undefined): string | undefined {
  if (errno === 'ENOTTY') return 'its file system has none'
  if (errno !== 'ENOTSUP') return undefined
  if (existsSync(EXT4_FEATURES) && !existsSync(join(EXT4_FEATURES, 'verity')))
    return 'this kernel is built without it (CONFIG_FS_VERITY)'
  return 'its file system was made without the feature (for ext4, tune2fs -O verity DEVICE adds it)'
}
