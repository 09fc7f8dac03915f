import { type Gunzip, gunzipByZlib } from './decompress.ts'
import { type Isal, loadIsal } from './isal.ts'
import { gunzipByIsal } from './isal-gunzip.ts'

/** What inflates gzip layers: `auto` is libisal where the host has it, else zlib. */
export type Inflater = 'auto' | 'zlib'

/** Below this many bytes loading a library takes longer than it saves. */
const SMALL_LAYER = 2 * 1024 * 1024

/**
 * Chooses what inflates a layer, by its size in bytes.
 *
 * @param isCoreFree whether to inflate beside the thread that unpacks, now
 */
export type GunzipFor = (size: number, isCoreFree: () => boolean) => Gunzip

/** Chooses for the layers of one thread. A library is loaded once, when a layer is worth it. */
export function createGunzips(inflater: Inflater): GunzipFor {
  let isal: Isal | 'unknown' | undefined = inflater === 'zlib' ? undefined : 'unknown'
  return (size, isCoreFree) => {
    if (size < SMALL_LAYER) return gunzipByZlib
    if (isal === 'unknown') isal = loadIsal()
    const loaded = isal
    return loaded === undefined
      ? gunzipByZlib
      : (source) => gunzipByIsal(source, loaded, isCoreFree)
  }
}

/** What {@link createGunzips} takes for layers that are not small. */
export function inflaterInUse(inflater: Inflater): 'libisal' | 'zlib' {
  return inflater === 'auto' && loadIsal() !== undefined ? 'libisal' : 'zlib'
}
