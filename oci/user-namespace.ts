import { readFileSync } from 'node:fs'

/** A range of numbers inside a user namespace, and what they are outside (user_namespaces(7)). */
interface MappedRange {
  readonly inside: number
  readonly count: number
}

/** All numbers that there are, as the first user namespace maps them. */
const ALL = 2 ** 32 - 1

/**
 * Whether this process is in a user namespace that has a part of the host's users only: root in it is root over what it made,
 * and an ordinary user to the rest of the host.
 */
export function isInUserNamespace(map?: string): boolean {
  if (map !== undefined) return isOfPart(map)
  own ??= isOfPart(readMap('uid_map'))
  return own
}

/** A process stays in the one that it began in. */
let own: boolean | undefined

function isOfPart(map: string): boolean {
  const ranges = parseMap(map)
  return ranges.length > 0 && ranges.reduce((sum, { count }) => sum + count, 0) < ALL
}

/** The highest number of a group that there is here. */
export function highestGroup(map = readMap('gid_map')): number {
  const ends = parseMap(map).map(({ inside, count }) => inside + count - 1)
  return Math.max(0, ...ends)
}

/** `INSIDE OUTSIDE COUNT` a line. */
function parseMap(text: string): MappedRange[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return lines.map((line) => {
    const [inside = 0, , count = 0] = line.trim().split(/\s+/).map(Number)
    return { inside, count }
  })
}

/** Empty where the kernel has no user namespaces. */
function readMap(name: 'uid_map' | 'gid_map'): string {
  try {
    return readFileSync(`/proc/self/${name}`, 'latin1')
  } catch {
    return ''
  }
}
