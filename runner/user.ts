import { DrayError } from '#oci/error.ts'

/** Who a container's command is, in numbers, and where that user lives. */
export interface ContainerUser {
  readonly uid: number
  readonly gid: number
  readonly additionalGids: readonly number[]
  readonly home: string
}

/** The text of the image's user databases; an absent file is an empty one. */
export interface UserDatabases {
  readonly passwd: string
  readonly group: string
}

/** The highest user or group id that is taken; above it, kernels and tools disagree about the sign. */
export const ID_LIMIT = 2 ** 31 - 1

interface PasswdEntry {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
}

interface GroupEntry {
  readonly name: string
  readonly gid: number
  readonly members: readonly string[]
}

/**
 * Resolves `USER[:GROUP]` (image-spec, config.md "User"; `-u`), each a name or a number, empty for root.
 *
 * What looks like a number is one, never a name, so that no line in an image's passwd gives it another meaning
 * (CVE-2024-40635, CVE-2026-46680). Supplementary groups are those that list the user, unless a group is given.
 * A number that no line knows has group 0 and home `/`.
 *
 * @throws USER_UNKNOWN for a name that the image doesn't have, and for a number outside of 0 to {@link ID_LIMIT}
 */
export function resolveUser(user: string, databases: UserDatabases): ContainerUser {
  const colon = user.indexOf(':')
  const [who, group] = colon < 0 ? [user] : [user.slice(0, colon), user.slice(colon + 1)]
  const entry = findUser(who || '0', parsePasswd(databases.passwd))
  const groups = parseGroup(databases.group)
  const { uid, home = '/' } = entry
  if (group !== undefined && group !== '') {
    return { uid, gid: findGroup(group, groups), additionalGids: [], home }
  }
  const gid = entry.gid ?? 0
  return { uid, gid, additionalGids: supplementaryGids(entry.name, gid, groups), home }
}

/** A user with more groups, each a name of the image or a number. @throws USER_UNKNOWN */
export function withGroups(
  user: ContainerUser,
  groups: readonly string[],
  databases: UserDatabases,
): ContainerUser {
  if (groups.length === 0) return user
  const entries = parseGroup(databases.group)
  const added = groups.map((group) => findGroup(group, entries))
  return { ...user, additionalGids: [...new Set([...user.additionalGids, ...added])] }
}

function findUser(who: string, entries: readonly PasswdEntry[]): Partial<PasswdEntry> & Uid {
  const uid = parseId(who)
  const entry = entries.find((line) => (uid === undefined ? line.name === who : line.uid === uid))
  if (entry !== undefined) return entry
  if (uid !== undefined) return { uid }
  const message = `the image has no user ${JSON.stringify(who)} in /etc/passwd: give a number, or a name it has`
  throw new DrayError('USER_UNKNOWN', message)
}

interface Uid {
  readonly uid: number
}

function findGroup(group: string, entries: readonly GroupEntry[]): number {
  const gid = parseId(group) ?? entries.find((line) => line.name === group)?.gid
  if (gid !== undefined) return gid
  const message = `the image has no group ${JSON.stringify(group)} in /etc/group: give a number, or a name it has`
  throw new DrayError('USER_UNKNOWN', message)
}

function supplementaryGids(
  name: string | undefined,
  gid: number,
  entries: readonly GroupEntry[],
): number[] {
  if (name === undefined) return []
  const gids = entries.filter((line) => line.members.includes(name)).map((line) => line.gid)
  return [...new Set(gids)].filter((other) => other !== gid)
}

/** Undefined for what doesn't look like a number. */
function parseId(text: string): number | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined
  const id = readId(text)
  if (id !== undefined) return id
  throw new DrayError('USER_UNKNOWN', `user or group ${text} is not a number from 0 to ${ID_LIMIT}`)
}

function readId(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined
  const id = Number(text)
  return id <= ID_LIMIT ? id : undefined
}

/** Lines that break the format of passwd(5) in any field used here are no lines: never a user with id 0 by mistake. */
function parsePasswd(text: string): PasswdEntry[] {
  return text.split('\n').flatMap((line) => {
    const [name, , uidText, gidText, , home] = line.split(':')
    const [uid, gid] = [readId(uidText), readId(gidText)]
    if (!name || uid === undefined || gid === undefined) return []
    return [{ name, uid, gid, home: isHome(home) ? home : '/' }]
  })
}

function parseGroup(text: string): GroupEntry[] {
  return text.split('\n').flatMap((line) => {
    const [name, , gidText, members] = line.split(':')
    const gid = readId(gidText)
    return name && gid !== undefined ? [{ name, gid, members: members?.split(',') ?? [] }] : []
  })
}

function isHome(home: string | undefined): home is string {
  return home?.startsWith('/') === true && !home.includes('\0')
}
