import { DrayError } from '#oci/error.ts'
import { formatReference, parseReference, type Reference, type Tag } from '#oci/reference.ts'
import { isReferrersTag } from '#oci/referrers-tag.ts'
import type { Location, RegistryAccess, Store } from '#puller/index.ts'
import { interruptible } from './interrupt.ts'
import { say } from './output/print.ts'

/** What `--all-tags` is about. @throws USAGE when it names a tag or a digest */
export function wholeRepository(reference: Reference): Reference {
  const { registry, repository, tag, digest } = reference
  if (tag === undefined && digest === undefined) return reference
  const name = formatReference({ registry, repository })
  throw new DrayError('USAGE', `--all-tags is for a repository: write ${name}`)
}

/** The images of a repository of a registry, without the lists and tags of what refers to them. @throws USAGE and as listTags does */
export async function remoteImages(
  reference: Reference,
  access: RegistryAccess,
  debug: boolean,
): Promise<readonly Reference[]> {
  const tags = await remoteTags(reference, access, debug)
  return tags.filter((tag) => !isReferrersTag(tag)).map((tag) => ({ ...reference, tag }))
}

async function remoteTags(
  reference: Reference,
  access: RegistryAccess | undefined,
  debug: boolean,
): Promise<readonly Tag[]> {
  const repository = wholeRepository(reference)
  const { listTags } = await import('#puller/index.ts')
  return await interruptible((signal) =>
    listTags(repository, { ...access, debug: debug ? say : undefined, signal }),
  )
}

/** The images of a repository that the local store has names of. @throws USAGE, IMAGE_UNKNOWN when there are none */
export async function localImages(store: Store, text: string): Promise<readonly Reference[]> {
  const { listImages } = await import('#puller/index.ts')
  const { registry, repository } = wholeRepository(parseReference(text))
  const named = (await listImages(store)).flatMap(({ name, isAttached }) =>
    name === undefined || isAttached ? [] : [parseReference(name)],
  )
  const found = named.filter(
    (each) =>
      each.registry === registry && each.repository === repository && each.tag !== undefined,
  )
  if (found.length > 0) return found
  throw new DrayError(
    'IMAGE_UNKNOWN',
    `no image of ${text} in the local store has a tag: dray images lists them`,
  )
}

/** Of a copy. */
export interface FromTo {
  readonly from: Location
  readonly to: Location
}

/** Where each tag of a repository is, and goes to. @throws USAGE */
export async function placesOfTags(
  { from, to }: FromTo,
  access: RegistryAccess | undefined,
  debug: boolean,
): Promise<readonly FromTo[]> {
  if (from.kind !== 'registry')
    throw new DrayError(
      'USAGE',
      '--all-tags copies from a registry: dray push --all-tags sends those of the local store',
    )
  if (to.kind === 'docker-archive' || to.kind === 'oci-archive')
    throw new DrayError(
      'USAGE',
      '--all-tags makes no archive: copy to oci:DIR, or to store:NAME, and then dray save',
    )
  const withTag = placeWithTag(to)
  const { reference } = from
  const tags = await remoteTags(reference, access, debug)
  return tags.map((tag) => ({
    from: { kind: 'registry', reference: { ...reference, tag } },
    to: withTag(tag),
  }))
}

/** @throws USAGE for a place that has a tag already */
function placeWithTag(to: Location): (tag: Tag) => Location {
  if (to.kind === 'registry') {
    const reference = wholeRepository(to.reference)
    return (tag) => ({ ...to, reference: { ...reference, tag } })
  }
  if (to.kind === 'store') {
    const reference = wholeRepository(parseReference(to.text))
    return (tag) => ({ ...to, text: formatReference({ ...reference, tag }) })
  }
  if (to.name !== undefined)
    throw new DrayError('USAGE', `--all-tags gives each its own name: write oci:${to.path}`)
  return (tag) => ({ ...to, name: tag })
}
