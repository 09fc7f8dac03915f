import { DrayError } from '#oci/error.ts'
import type { IdMapping } from '#oci/runtime-spec.ts'
import { DEFAULT_SIZE, idsFromZero, type IdMap, type WantedIds } from './id-map.ts'

/** user_namespaces(7) of the kernel. */
const MAX_LINES = 340
const ID_END = 2 ** 32 - 1

/**
 * Parses `--userns`, `--uidmap` and `--gidmap`; of the maps, one that is missing is like the other.
 *
 * @returns undefined for the host's own ids
 * @throws USAGE
 */
export function parseUserNamespace(
  mode: string | undefined,
  uidMaps: readonly string[],
  gidMaps: readonly string[],
): IdMap | WantedIds | undefined {
  const isMapped = uidMaps.length + gidMaps.length > 0
  if (mode === 'keep-id' || mode === 'nomap') {
    throw usage(`--userns ${mode} is for containers of ordinary users: root writes --userns auto`)
  }
  const [, name, sizeText] = /^(host|private|auto)(?::size=(\d{1,9}))?$/.exec(mode ?? 'host') ?? []
  if (name === undefined || (sizeText !== undefined && name !== 'auto')) {
    throw usage(`invalid user namespace ${JSON.stringify(mode)}: write host, auto or auto:size=N`)
  }
  if (isMapped) {
    if (mode === 'host' || name === 'auto') {
      throw usage(`--userns ${mode} excludes --uidmap and --gidmap`)
    }
    return parseMaps(uidMaps, gidMaps)
  }
  if (name === 'host') return undefined
  const size = Number(sizeText ?? DEFAULT_SIZE)
  if (size > 0) return { size }
  throw usage('a user namespace needs an id')
}

function parseMaps(uidMaps: readonly string[], gidMaps: readonly string[]): IdMap {
  const uids = (uidMaps.length > 0 ? uidMaps : gidMaps).map(parseMapping)
  const gids = (gidMaps.length > 0 ? gidMaps : uidMaps).map(parseMapping)
  for (const mappings of [uids, gids]) {
    if (mappings.length >= MAX_LINES) throw usage(`a map has at most ${MAX_LINES - 1} ranges`)
    if (idsFromZero(mappings) === 0) throw usage('a map must say who 0 is, root inside')
    if (mappings.some(({ hostID }) => hostID === 0)) {
      const advice = 'give it ids that nobody has, such as 0:100000:65536, or --userns host'
      throw usage(`a map holds 0 of the host, which is its root: ${advice}`)
    }
    if (overlap(mappings, 'containerID') || overlap(mappings, 'hostID')) {
      throw usage('two ranges of a map overlap')
    }
  }
  return { uids, gids }
}

function parseMapping(text: string): IdMapping {
  const match = /^(\d{1,10}):(\d{1,10})(?::(\d{1,10}))?$/.exec(text)
  const [containerID, hostID, size] = [match?.[1], match?.[2], match?.[3] ?? '1'].map(Number)
  const isRight = (first = ID_END, count = 0) => count > 0 && first + count <= ID_END
  if (match !== null && isRight(containerID, size) && isRight(hostID, size)) {
    return { containerID: containerID ?? 0, hostID: hostID ?? 0, size: size ?? 0 }
  }
  throw usage(
    `invalid range ${JSON.stringify(text)}: write INSIDE:HOST:SIZE, such as 0:100000:65536`,
  )
}

function overlap(mappings: readonly IdMapping[], side: 'containerID' | 'hostID'): boolean {
  const sorted = mappings.toSorted((a, b) => a[side] - b[side])
  return sorted.some((mapping, at) => {
    const next = sorted[at + 1]
    return next !== undefined && mapping[side] + mapping.size > next[side]
  })
}

function usage(message: string): DrayError {
  return new DrayError('USAGE', message)
}
