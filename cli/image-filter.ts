import { matchesGlob } from 'node:path'
import { DrayError } from '#oci/error.ts'
import { familiarReference, parseReference } from '#oci/reference.ts'
import type { ImageSummary } from '#puller/index.ts'
import { passesAll } from '#runner/filters.ts'

type Test = (value: string) => (image: ImageSummary) => boolean

const TESTS: Readonly<Record<string, Test>> = {
  dangling(value) {
    if (!/^(?:true|false|0|1)$/.test(value)) throw usage(`dangling is true or false, not ${value}`)
    return ({ name }) => (name === undefined) === (value === 'true' || value === '1')
  },
  reference: (value) => (image) => namesOf(image).some((name) => matchesGlob(name, value)),
}

/**
 * The images that pass docker's filters, `KEY=VALUE` each. Those with one key are alternatives; different keys must all hold.
 *
 * @throws USAGE
 */
export function filterImages(
  images: readonly ImageSummary[],
  filters: readonly string[],
): ImageSummary[] {
  const tests = filters.map((filter) => {
    const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(filter) ?? []
    const test = TESTS[key]
    if (test === undefined)
      throw usage(`no such filter ${JSON.stringify(filter)}: ${Object.keys(TESTS).join(', ')}`)
    return [key, test(value)] as const
  })
  return images.filter(passesAll(tests))
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

function usage(message: string): DrayError {
  return new DrayError('USAGE', message)
}
