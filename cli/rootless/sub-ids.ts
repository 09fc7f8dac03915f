import { readFileSync } from 'node:fs'
import { DrayError } from '#oci/error.ts'
import { type SubIdRange, parseSubIds as parse } from '#runner/userns/sub-ids.ts'

/** Who the ranges are for. */
export interface Owner {
  readonly uid: number
  readonly gid: number
  /** Absent for a user without an entry in the user database. */
  readonly name?: string | undefined
}

/** Numbers for the users and the groups of containers. */
export interface SubIds {
  readonly users: readonly SubIdRange[]
  readonly groups: readonly SubIdRange[]
}

const FILES = { users: '/etc/subuid', groups: '/etc/subgid' } as const

/** The ranges of a user. @throws RUN_FAILED when it has none */
export function readSubIds(owner: Owner): SubIds {
  return { users: rangesIn(FILES.users, owner), groups: rangesIn(FILES.groups, owner) }
}

function rangesIn(path: string, owner: Owner): readonly SubIdRange[] {
  const ranges = parseSubIds(readText(path), owner)
  if (ranges.length > 0) return ranges
  const name = owner.name ?? String(owner.uid)
  const flag = path === FILES.users ? '--add-subuids' : '--add-subgids'
  throw new DrayError(
    'RUN_FAILED',
    `${path} has no range for ${name}, which containers of an ordinary user need. As root: usermod ${flag} 100000-165535 ${name} (a range that nobody else has)`,
  )
}

/** The ranges of a user in the text of subuid(5), by its name or its number. */
export function parseSubIds(text: string, { uid, name }: Owner): SubIdRange[] {
  const names = [String(uid), ...(name === undefined ? [] : [name])]
  return parse(text, names).filter(({ count }) => count > 0)
}

/** Arguments of newuidmap(1) after the process: root inside is the user itself, the numbers after it are of its ranges. */
export function mapArguments(own: number, ranges: readonly SubIdRange[]): string[] {
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
