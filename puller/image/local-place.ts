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

/**
 * Parses `store:NAME`, `oci:DIR[:NAME]`, `oci-archive:FILE[:NAME]` and `docker-archive:FILE[:NAME]`. Undefined for anything else.
 *
 * @throws USAGE when the path is missing
 */
export function parseLocalPlace(text: string): LocalPlace | undefined {
  const match = /^(store|oci|oci-archive|docker-archive):(.*)$/s.exec(text)
  if (match === null) return undefined
  const [, kind, rest = ''] = match
  if (kind === 'store') return { kind, text: rest }
  const [, path = '', name] = /^([^:]*)(?::(.*))?$/s.exec(rest) ?? []
  if (path !== '' && name !== '')
    return { kind: kind as 'oci' | ArchiveFormat, path, name } as LocalPlace
  throw new DrayError('USAGE', `${text} names no place: write ${kind}:PATH[:NAME]`)
}
