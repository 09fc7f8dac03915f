import { DrayError } from '#oci/error.ts'
import { printable } from '../tar/entry.ts'

/** The kernel's limits (linux/limits.h): a path with its NUL, and one name in it. */
const PATH_MAX = 4096
const NAME_MAX = 255

const WHITEOUT = '.wh.'
const META = '.wh..wh.'
const OPAQUE = '.wh..wh..opq'

/**
 * What the name of a layer's entry means (image-spec, layer.md "Whiteouts"). `names` are the path's components from the
 * layer's root down, as binary strings (one character a byte); none for the root itself.
 */
export type LayerName =
  | { readonly kind: 'path'; readonly names: readonly string[] }
  /** `.wh.NAME`: `names` is the path that it hides in lower layers. */
  | { readonly kind: 'whiteout'; readonly names: readonly string[] }
  /** `.wh..wh..opq`: `names` is the directory whose lower contents it hides. */
  | { readonly kind: 'opaque'; readonly names: readonly string[] }
  /** AUFS's own files (`.wh..wh.plnk`, ...), which mean nothing elsewhere. */
  | { readonly kind: 'ignored' }

/**
 * Reads the name of an entry: relative to the layer's root whether it starts with a slash or not, `.` and `..` taken as text
 * and `..` at the root staying there, as containerd and umoci do.
 *
 * @throws LAYER_INVALID for a name that no file system holds, and for a whiteout of nothing or with something below it
 */
export function parseLayerName(path: Buffer): LayerName {
  const names = splitName(path)
  const last = names.at(-1)
  const meta = names.findIndex((name) => name.startsWith(WHITEOUT))
  if (last === undefined || meta < 0) return { kind: 'path', names }
  if (names[meta]?.startsWith(META) === true) {
    const isMark = meta === names.length - 1 && last === OPAQUE
    return isMark ? { kind: 'opaque', names: names.slice(0, -1) } : { kind: 'ignored' }
  }
  const hidden = last.slice(WHITEOUT.length)
  if (meta < names.length - 1 || ['', '.', '..'].includes(hidden)) {
    throw new DrayError('LAYER_INVALID', `it has the invalid whiteout ${printable(path)}`)
  }
  return { kind: 'whiteout', names: [...names.slice(0, -1), hidden] }
}

/** The components of a path in a layer, cleaned as {@link parseLayerName} does. Throws LAYER_INVALID. */
export function splitName(path: Buffer): string[] {
  const names: string[] = []
  for (const name of path.toString('latin1').split('/')) {
    if (name === '' || name === '.') continue
    if (name === '..') names.pop()
    else names.push(name)
  }
  if (path.length >= PATH_MAX || names.some((name) => name.length > NAME_MAX)) {
    throw new DrayError('LAYER_INVALID', `it has a name that is too long: ${printable(path)}`)
  }
  return names
}
