import { DrayError } from '#oci/error.ts'
import { formatReference, parseReference, type Reference, withDefaultTag } from '#oci/reference.ts'
import { type LocalPlace, parseLocalPlace, type PlaceOnDisk } from '../image/local-place.ts'
import { openAt } from '../image/open-image.ts'
import type { RegistryAccess } from '../registry/access.ts'
import { blobsHeldBy } from '../push.ts'
import { openLayoutStore } from '../store/layout-store.ts'
import type { Store } from '../store/store.ts'
import { type CopyOptions, type CopyResult, copyToRegistry } from './copy.ts'
import { layoutSource } from './from-layout.ts'
import { type RegistrySourceOptions, registrySource } from './from-registry.ts'
import type { ImageSource } from './source.ts'
import { copyToArchive } from './to-archive.ts'
import { copyToStore } from './to-store.ts'

/** Where an image is, or goes to. */
export type Location = { readonly kind: 'registry'; readonly reference: Reference } | LocalPlace

/**
 * Parses what people type: `[docker://]REFERENCE` for a registry, `oci:DIR[:NAME]`, `oci-archive:FILE[:NAME]`,
 * `docker-archive:FILE[:NAME]`, or `store:NAME` for the local store.
 *
 * @throws REFERENCE_INVALID, USAGE
 */
export function parseLocation(text: string): Location {
  return (
    parseLocalPlace(text) ?? {
      kind: 'registry',
      reference: parseReference(text.replace(/^docker:\/\//, '')),
    }
  )
}

export interface CopyPlaces {
  readonly from: Location
  readonly to: Location
  /** How the registries are reached. */
  readonly fromAccess?: RegistryAccess | undefined
  readonly toAccess?: RegistryAccess | undefined
  /** Opens the local store, which is asked for only when it is needed. */
  readonly openStore: () => Promise<Store>
}

/**
 * Copies an image from one place to another, as it is.
 *
 * @throws what {@link copyToRegistry}, {@link copyToStore} and {@link copyToArchive} throw
 */
export async function copyImage(
  places: CopyPlaces,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const { from, to, toAccess } = places
  const signal = options.signal ?? new AbortController().signal
  const opened = await openSource(places, { debug: options.debug, signal })
  try {
    if (to.kind === 'registry') {
      const elsewhere = mountable(from, to.reference)
      const target = { ...toAccess, reference: to.reference, elsewhere }
      return await copyToRegistry(opened.source, target, options)
    }
    if (to.kind === 'oci') return await copyToLayout(opened.source, to, options)
    if (to.kind === 'store')
      return await copyToLocalStore(opened.source, places, parseReference(to.text), options)
    return await copyToArchive(opened.source, to, await places.openStore(), options)
  } finally {
    await opened.close()
  }
}

interface OpenedSource {
  readonly source: ImageSource
  close(): Promise<void>
}

async function openSource(
  { from, fromAccess, to, toAccess, openStore }: CopyPlaces,
  options: RegistrySourceOptions,
): Promise<OpenedSource> {
  if (from.kind === 'registry') {
    const source = await registrySource(from.reference, { ...fromAccess, ...options })
    return { source, close: async () => undefined }
  }
  const { signal } = options
  const isHeld =
    to.kind === 'registry' ? blobsHeldBy(to.reference, { ...toAccess, signal }) : undefined
  const { image, close } = await openAt(openStore, from, { isHeld, signal })
  return { source: await layoutSource(image.source, image.descriptor), close }
}

async function copyToLayout(
  source: ImageSource,
  { path, name }: PlaceOnDisk<'oci'>,
  options: CopyOptions,
): Promise<CopyResult> {
  const { store, close } = await openLayoutStore(path)
  try {
    const result = await copyToStore(
      source,
      {
        store,
        name,
        nameOfReferrers: (tag) => tag,
        keepsReplaced: false,
        roomAdvice: 'make some on its disk',
      },
      options,
    )
    return { ...result, name: `oci:${path}${name === undefined ? '' : `:${name}`}` }
  } finally {
    await close()
  }
}

async function copyToLocalStore(
  source: ImageSource,
  { openStore }: CopyPlaces,
  reference: Reference,
  options: CopyOptions,
): Promise<CopyResult> {
  const { tag, ...repository } = withDefaultTag(reference)
  if (repository.digest !== undefined)
    throw new DrayError('USAGE', 'a copy in the local store has a name: write store:NAME[:TAG]')
  const nameOfReferrers = (list: string) => `${formatReference(repository)}:${list}`
  const name = formatReference(withDefaultTag(reference))
  return await copyToStore(
    source,
    { store: await openStore(), name, nameOfReferrers, keepsReplaced: true },
    options,
  )
}

/** What is in a registry needn't be sent to it. */
function mountable(from: Location, to: Reference) {
  if (from.kind !== 'registry' || from.reference.registry !== to.registry) return undefined
  const { repository } = from.reference
  return repository === to.repository ? undefined : () => repository
}
