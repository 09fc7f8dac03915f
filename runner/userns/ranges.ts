import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { DrayError } from '#oci/error.ts'
import { exclusively } from '../file-lock.ts'
import type { IdMap } from './id-map.ts'
import { parseSubIds } from './sub-ids.ts'

/** Ids of the host: the first, and the one behind the last. */
export interface IdRange {
  readonly first: number
  readonly end: number
}

/** Whose ranges in /etc/subuid and /etc/subgid containers get, as podman has it. */
const OWNER = 'containers'

/** What nobody else gives away, by systemd's table of ids (UIDS-GIDS): for hosts whose files have no line for us. */
const UNUSED: IdRange = { first: 1_879_048_192, end: 2_147_483_647 }

/** Which container of the host, of whatever store, has which ids: symlinks `FIRST-END` to its directory. */
const LEASES = '/var/lib/dray/id-ranges'

/** Gives a container a range of ids that no other one has. @throws RUN_FAILED when none is left */
export function takeRange(size: number, containerDir: string): IdMap {
  const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '')
  const pools = poolsOf(read('/etc/subuid'), read('/etc/subgid'))
  mkdirSync(LEASES, { recursive: true, mode: 0o700 })
  const range = exclusively(join(LEASES, '.lock'), () => {
    const found = firstFree(pools, leased(), size)
    if (found !== undefined) symlinkSync(containerDir, leasePath(found))
    return found
  })
  if (range === undefined) {
    throw new DrayError(
      'RUN_FAILED',
      `no ${size} ids are free for a user namespace: give ${OWNER} more in /etc/subuid and /etc/subgid, or write auto:size=N`,
    )
  }
  const mappings = [{ containerID: 0, hostID: range.first, size }]
  return { uids: mappings, gids: mappings }
}

/** Gives back what a container has, if it was given any. */
export function dropRange(map: IdMap, containerDir: string): void {
  for (const { hostID, size } of map.uids) {
    const path = leasePath({ first: hostID, end: hostID + size })
    if (targetOf(path) === containerDir) rmSync(path, { force: true })
  }
}

/** Those whose container is gone are free. */
function leased(): IdRange[] {
  return readdirSync(LEASES).flatMap((name) => {
    const [, first, end] = /^(\d+)-(\d+)$/.exec(name) ?? []
    if (first === undefined) return []
    const range = { first: Number(first), end: Number(end) }
    if (existsSync(targetOf(leasePath(range)) ?? '')) return [range]
    rmSync(leasePath(range), { force: true })
    return []
  })
}

function leasePath({ first, end }: IdRange): string {
  return join(LEASES, `${first}-${end}`)
}

function targetOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

/** The ids that containers may have as users and as groups both, by the texts of subuid(5) and subgid(5). Pure. */
export function poolsOf(subuid: string, subgid: string): IdRange[] {
  const [uids, gids] = [rangesIn(subuid), rangesIn(subgid)]
  const shared = uids.flatMap((uid) =>
    gids.map((gid) => ({ first: Math.max(uid.first, gid.first), end: Math.min(uid.end, gid.end) })),
  )
  return uids.length + gids.length === 0 ? [UNUSED] : shared
}

function rangesIn(text: string): IdRange[] {
  return parseSubIds(text, [OWNER]).map(({ first, count }) => ({ first, end: first + count }))
}

/** The first range of a size in the pools that is not taken. Pure. */
export function firstFree(
  pools: readonly IdRange[],
  taken: readonly IdRange[],
  size: number,
): IdRange | undefined {
  const sorted = taken.toSorted((a, b) => a.first - b.first)
  for (const pool of pools) {
    let first = pool.first
    for (const other of sorted) {
      if (other.end > first && other.first < first + size) first = other.end
    }
    if (first + size <= pool.end) return { first, end: first + size }
  }
  return undefined
}
