import { DrayError } from '#oci/error.ts'
import type { ArchiveFormat } from '../archive/write.ts'

/** Where an image on this machine is, or goes to. */
export type LocalPlace =
  | { readonly kind: 'store'; readonly text: string }
  | PlaceOnDisk<'oci'>
  | PlaceOnDisk<ArchiveFormat>

/** A layout or an archive of images. */
export interface PlaceOnDisk<Kind extends 'oci' | ArchiveFormat> {
  readonly kind: Kind
  readonly path: string
  /** Which of the images that are there. */
  readonly name: string | undefined
}

/** Places that skopeo knows and we don't, with the way there. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map(
  Object.entries({
    dir: 'skopeo copy between dir:DIR and oci:DIR:NAME goes between it and a layout',
    'docker-daemon': 'docker save NAME | dray load, or dray save NAME | docker load',
    'containers-storage': 'podman save NAME | dray load, or dray save NAME | podman load',
  }),
)

/**
 * Parses `store:NAME`, `oci:DIR[:NAME]`, `oci-archive:FILE[:NAME]` and `docker-archive:FILE[:NAME]`. Undefined for anything else.
 *
 * @throws USAGE when the path is missing, or for a place of skopeo's
 */
export function parseLocalPlace(text: string): LocalPlace | undefined {
  const match = /^(store|oci|oci-archive|docker-archive):(.*)$/s.exec(text)
  if (match === null) {
    const [, kind = ''] = /^([a-z-]+):/.exec(text) ?? []
    const way = ELSEWHERE.get(kind)
    if (way === undefined) return undefined
    throw new DrayError('USAGE', `${text} is out of reach: ${way}`)
  }
  const [, kind, rest = ''] = match
  if (kind === 'store') return { kind, text: rest }
  const [, path = '', name] = /^([^:]*)(?::(.*))?$/s.exec(rest) ?? []
  if (path === '-' && kind !== 'oci')
    throw new DrayError('USAGE', `${text} names no place: write ${kind}:/dev/stdin, or /dev/stdout`)
  if (path !== '' && name !== '')
    return { kind: kind as 'oci' | ArchiveFormat, path, name } as LocalPlace
  throw new DrayError('USAGE', `${text} names no place: write ${kind}:PATH[:NAME]`)
}
