import type { IdMapping } from '#oci/runtime-spec.ts'

/** Which ids of the host stand for those of a container's own user namespace. */
export interface IdMap {
  readonly uids: readonly IdMapping[]
  readonly gids: readonly IdMapping[]
}

/** A range of ids that is to be found when the container is made. */
export interface WantedIds {
  readonly size: number
}

/** The ids that a container has when nothing is said: as many as the images of distributions use. */
export const DEFAULT_SIZE = 65_536

/** The id on the host of one inside; undefined when it has none. */
export function outsideId(mappings: readonly IdMapping[], id: number): number | undefined {
  const found = mappings.find(
    ({ containerID, size }) => id >= containerID && id < containerID + size,
  )
  return found === undefined ? undefined : found.hostID + id - found.containerID
}

/** The id inside of one on the host; undefined when it has none. */
function insideId(mappings: readonly IdMapping[], id: number): number | undefined {
  const inverse = mappings.map(({ containerID, hostID, size }) => ({
    containerID: hostID,
    hostID: containerID,
    size,
  }))
  return outsideId(inverse, id)
}

/** Whose a file is, by its ids. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** The id that the kernel shows for one that has no other. */
const NOBODY = 65_534

/** Ids on the host as the container sees them. */
export function ownerInside({ uids, gids }: IdMap, { uid, gid }: Owner): Owner {
  return { uid: insideId(uids, uid) ?? NOBODY, gid: insideId(gids, gid) ?? NOBODY }
}

/** Ids of the container on the host: root's for those that it doesn't have. */
export function ownerOutside({ uids, gids }: IdMap, { uid, gid }: Owner): Owner {
  const [rootUser = 0, rootGroup = 0] = [outsideId(uids, 0), outsideId(gids, 0)]
  return { uid: outsideId(uids, uid) ?? rootUser, gid: outsideId(gids, gid) ?? rootGroup }
}

/** How many ids there are inside from 0 on, without a gap. */
export function idsFromZero(mappings: readonly IdMapping[]): number {
  const sorted = mappings.toSorted((a, b) => a.containerID - b.containerID)
  return sorted.reduce((end, { containerID, size }) => (containerID === end ? end + size : end), 0)
}

/**
 * The map by which an overlay stores what a container writes. The host's root, which makes whiteouts and working files in it,
 * gets an id that the container doesn't have.
 */
export function withHostRoot({ uids, gids }: IdMap): IdMap {
  const add = (mappings: readonly IdMapping[]) => {
    const free = Math.max(...mappings.map(({ containerID, size }) => containerID + size))
    return [...mappings, { containerID: free, hostID: 0, size: 1 }]
  }
  return { uids: add(uids), gids: add(gids) }
}

/** The text of /proc/PID/uid_map (user_namespaces(7)). */
export function mapText(mappings: readonly IdMapping[]): string {
  return mappings
    .map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`)
    .join('')
}
