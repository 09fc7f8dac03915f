import { readFileSync } from 'node:fs'
import { DrayError } from '#oci/error.ts'

/** A range of numbers that belong to a user beside its own. */
export interface IdRange {
  readonly first: number
  readonly count: number
}

/** Who the ranges are for. */
export interface Owner {
  readonly uid: number
  readonly gid: number
  /** Absent for a user without an entry in the user database. */
  readonly name?: string | undefined
}

/** Numbers for the users and the groups of containers. */
export interface SubIds {
  readonly users: readonly IdRange[]
  readonly groups: readonly IdRange[]
}

const FILES = { users: '/etc/subuid', groups: '/etc/subgid' } as const

/** The ranges of a user. @throws RUN_FAILED when it has none */
export function readSubIds(owner: Owner): SubIds {
  return { users: rangesIn(FILES.users, owner), groups: rangesIn(FILES.groups, owner) }
}

function rangesIn(path: string, owner: Owner): readonly IdRange[] {
  const ranges = parseSubIds(readText(path), owner)
  if (ranges.length > 0) return ranges
  const name = owner.name ?? String(owner.uid)
  const flag = path === FILES.users ? '--add-subuids' : '--add-subgids'
  throw new DrayError(
    'RUN_FAILED',
    `${path} has no range for ${name}, which containers of an ordinary user need. As root: usermod ${flag} 100000-165535 ${name} (a range that nobody else has)`,
  )
}

/** Parses subuid(5): `NAME:FIRST:COUNT` a line, a name or a number of a user. */
export function parseSubIds(text: string, { uid, name }: Owner): IdRange[] {
  return text.split('\n').flatMap((line) => {
    const [, who, first, count] = /^([^#:]+):(\d{1,10}):(\d{1,10})\s*$/.exec(line) ?? []
    if (who === undefined || (who !== name && who !== String(uid))) return []
    return Number(count) > 0 ? [{ first: Number(first), count: Number(count) }] : []
  })
}

/** Arguments of newuidmap(1) after the process: root inside is the user itself, the numbers after it are of its ranges. */
export function mapArguments(own: number, ranges: readonly IdRange[]): string[] {
  let inside = 1
  const mapped = ranges.flatMap(({ first, count }) => {
    const words = [inside, first, count]
    inside += count
    return words
  })
  return [0, own, 1, ...mapped].map(String)
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
