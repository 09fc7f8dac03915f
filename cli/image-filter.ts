import { matchesGlob } from 'node:path'
import { familiarReference, parseReference } from '#oci/reference.ts'
import type { ImageSummary } from '#puller/index.ts'
import { type FilterTests, filterBy, isDangling } from '#runner/filters.ts'

const TESTS: FilterTests<ImageSummary> = {
  dangling(value) {
    const wanted = isDangling(value)
    return ({ name }) => (name === undefined) === wanted
  },
  reference: (value) => (image) => namesOf(image).some((name) => matchesGlob(name, value)),
}

/** The images that pass filters. @throws USAGE */
export function filterImages(
  images: readonly ImageSummary[],
  filters: readonly string[],
): ImageSummary[] {
  return filterBy(images, filters, TESTS)
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
