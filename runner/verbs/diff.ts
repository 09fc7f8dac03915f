import { type Dirent, lstatSync, readdirSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import type { Container } from '../containers/state.ts'
import { etcFilesOf } from '../layout.ts'
import type { ContainerOptions } from '../options.ts'

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
  const mountPoints = mountPointsOf(record.options)
  const walk = (path: string) => {
    for (const entry of entriesOf(join(paths.upper, path))) {
      const inside = `${path}/${entry.name}`
      if (mountPoints.has(inside)) continue
      const upper = join(paths.upper, inside)
      const below = statsBelow(lowers, inside)
      if (entry.isDirectory() && isMadeFor(mountPoints, upper, inside, below)) continue
      found.push({ kind: kindOf(entry, upper, below !== undefined), path: inside })
      if (entry.isDirectory()) walk(inside)
    }
  }
  walk('')
  return found.toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

/** Whether a directory is there for nothing but mount points in it. */
function isMadeFor(
  mountPoints: ReadonlySet<string>,
  upper: string,
  path: string,
  below: Stats | undefined,
): boolean {
  const names = entriesOf(upper).map(({ name }) => `${path}/${name}`)
  if (names.length === 0 || !names.every((name) => mountPoints.has(name))) return false
  const { mode, uid, gid } = lstatSync(upper)
  return below === undefined || (below.mode === mode && below.uid === uid && below.gid === gid)
}

/** Paths that were made for what is mounted there; nobody changed them. */
export function mountPointsOf(options: ContainerOptions): ReadonlySet<string> {
  return new Set(['/proc', '/sys', '/dev', ...etcFilesOf(options).map((name) => `/etc/${name}`)])
}

function kindOf(entry: Dirent, path: string, isInImage: boolean): Difference['kind'] {
  if (entry.isCharacterDevice() && lstatSync(path).rdev === 0) return 'D'
  return isInImage ? 'C' : 'A'
}

/** What the image has at a path: the topmost layer that says something of it decides. */
function statsBelow(lowers: readonly string[], path: string): Stats | undefined {
  for (const dir of lowers) {
    const stats = lstatSync(join(dir, path), { throwIfNoEntry: false })
    if (stats !== undefined)
      return stats.isCharacterDevice() && stats.rdev === 0 ? undefined : stats
  }
  return undefined
}

function entriesOf(dir: string): Dirent[] {
  try {
    return readdirSync(dir, { withFileTypes: true })
  } catch {
    return [] // never started
  }
}
