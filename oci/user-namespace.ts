import { readFileSync } from 'node:fs'

/** A range of numbers inside a user namespace, and what they are outside (user_namespaces(7)). */
interface MappedRange {
  readonly inside: number
  readonly outside: number
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

/** The user that is root of this process's user namespace; undefined for root of the host. */
export function ownerOfRoot(): number | undefined {
  return isInUserNamespace() ? outsideOf(readMap('uid_map'), 0) : undefined
}

/** Which number outside stands for one inside. */
export function outsideOf(map: string, id: number): number | undefined {
  const range = parseMap(map).find(({ inside, count }) => id >= inside && id < inside + count)
  return range && range.outside + id - range.inside
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
    const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number)
    return { inside, outside, count }
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
