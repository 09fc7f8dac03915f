import { matchesGlob } from 'node:path'
import type { Digest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { familiarReference, parseReference } from '#oci/reference.ts'
import type { ImageSummary } from '#puller/index.ts'
import { byLabel, type FilterTests, filterBy, isDangling, pruneTests } from '#runner/filters.ts'
import { parseMoment } from '#runner/log/time.ts'

/** When images were made, RFC 3339, by what people call them; empty where an image doesn't say. */
export type FindCreated = (image: string) => Promise<string>

/**
 * The images that pass filters. One that doesn't say when it was made is neither before nor after anything.
 *
 * @throws USAGE, and what `findCreated` throws
 */
export async function filterImages(
  images: readonly ImageSummary[],
  filters: readonly string[],
  findCreated: FindCreated,
): Promise<ImageSummary[]> {
  const moments = new Map<string, number>()
  for (const filter of filters) {
    const [, image] = /^(?:before|since)=(.*)$/s.exec(filter) ?? []
    if (image !== undefined) moments.set(image, momentOf(image, await findCreated(image)))
  }
  return filterBy(images, filters, testsWith(moments))
}

const testsWith = (moments: ReadonlyMap<string, number>): FilterTests<ImageSummary> => ({
  dangling(value) {
    const wanted = isDangling(value)
    return ({ name }) => (name === undefined) === wanted
  },
  reference: (value) => (image) => namesOf(image).some((name) => matchesGlob(name, value)),
  label: byLabel(({ labels }) => labels),
  before: (value) => isBefore(moments.get(value) ?? Number.NaN),
  since: (value) => (image) => createdAt(image) > (moments.get(value) ?? Number.NaN),
  until: (value) => isBefore(parseMoment(value)),
})

function momentOf(image: string, created: string): number {
  const moment = Date.parse(created)
  if (!Number.isNaN(moment)) return moment
  throw new DrayError('USAGE', `${image} does not say when it was made: name another image`)
}

/** Tells by its digest whether one of some images passes filters of `prune`. @throws USAGE */
export function passesIn(
  images: readonly ImageSummary[],
  filters: readonly string[],
): (digest: Digest) => boolean {
  const tests = pruneTests<ImageSummary>({ labelsOf: ({ labels }) => labels, createdOf: createdAt })
  const passing = new Set(filterBy(images, filters, tests).map(({ digest }) => digest))
  return (digest) => passing.has(digest)
}

/** Milliseconds since 1970; NaN, which is neither less nor more than anything, where the image doesn't say. */
function createdAt({ created = '' }: ImageSummary): number {
  return Date.parse(created)
}

function isBefore(moment: number) {
  return (image: ImageSummary) => createdAt(image) < moment
}

/** A name in full and as people type it, each with and without its tag. */
function namesOf({ name }: ImageSummary): string[] {
  if (name === undefined) return []
  const { tag: _, digest: __, ...repository } = parseReference(name)
  return [
    name,
    familiarReference(parseReference(name)),
    familiarReference(repository),
    name.replace(/[:@][^/]*$/, ''),
  ]
}
