import { type Dirent, lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Container } from '../containers/state.ts'

/** What became of a path since the image: added, changed or deleted. */
export interface Difference {
  readonly kind: 'A' | 'C' | 'D'
  readonly path: string
}

/**
 * What a container changed in its root file system, sorted by path. Reads the upper directory of its overlay: what is there
 * was written, and a whiteout is what was deleted.
 */
export function containerChanges({ paths, record }: Container): Difference[] {
  const lowers = record.rootfs.lowerDirs.toReversed()
  const found: Difference[] = []
  const walk = (path: string) => {
    for (const entry of entriesOf(join(paths.upper, path))) {
      const inside = `${path}/${entry.name}`
      const kind = kindOf(entry, join(paths.upper, inside), isBelow(lowers, inside))
      found.push({ kind, path: inside })
      if (entry.isDirectory()) walk(inside)
    }
  }
  walk('')
  const own = found.filter(({ path }) => !MOUNT_POINTS.has(path))
  return own.toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

/** Made for what is mounted there; nobody changed them. */
export const MOUNT_POINTS: ReadonlySet<string> = new Set([
  '/proc',
  '/sys',
  '/dev',
  '/etc/hosts',
  '/etc/hostname',
  '/etc/resolv.conf',
])

function kindOf(entry: Dirent, path: string, isInImage: boolean): Difference['kind'] {
  if (entry.isCharacterDevice() && lstatSync(path).rdev === 0) return 'D'
  return isInImage ? 'C' : 'A'
}

/** Whether the image has a path: the topmost layer that says something of it decides. */
function isBelow(lowers: readonly string[], path: string): boolean {
  for (const dir of lowers) {
    const stats = lstatSync(join(dir, path), { throwIfNoEntry: false })
    if (stats !== undefined) return !(stats.isCharacterDevice() && stats.rdev === 0)
  }
  return false
}

function entriesOf(dir: string): Dirent[] {
  try {
    return readdirSync(dir, { withFileTypes: true })
  } catch {
    return [] // never started
  }
}
