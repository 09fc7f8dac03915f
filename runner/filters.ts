import { DrayError } from '#oci/error.ts'

/** A test that a filter `KEY=VALUE` stands for, and the group that it is in. */
export type GroupedTest<T> = readonly [group: string, test: (thing: T) => boolean]

/** Whether something passes filters as docker has them: those of one group are alternatives, and every group must hold. */
export function passesAll<T>(tests: readonly GroupedTest<T>[]): (thing: T) => boolean {
  const groups = [...Map.groupBy(tests, ([group]) => group).values()]
  return (thing) => groups.every((group) => group.some(([, test]) => test(thing)))
}

/** What filters may be about: from the value of one, what it lets pass. */
export type FilterTests<T> = Readonly<Record<string, (value: string) => (thing: T) => boolean>>

/**
 * The things that pass docker's filters, `KEY=VALUE` each. Those with one key are alternatives, except labels; different keys must
 * all hold.
 *
 * @throws USAGE
 */
export function filterBy<T>(
  things: readonly T[],
  filters: readonly string[],
  tests: FilterTests<T>,
): T[] {
  const wanted = filters.map((filter) => {
    const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(filter) ?? []
    const test = Object.hasOwn(tests, key) ? tests[key] : undefined
    if (test === undefined) {
      const message = `no such filter ${JSON.stringify(filter)}: write KEY=VALUE, with ${Object.keys(tests).join(', ')}`
      throw new DrayError('USAGE', message)
    }
    return [key === 'label' ? filter : key, test(value)] as const
  })
  return things.filter(passesAll(wanted))
}

/** The value of `dangling`. @throws USAGE */
export function isDangling(value: string): boolean {
  if (/^(?:true|false|0|1)$/.test(value)) return value === 'true' || value === '1'
  throw new DrayError('USAGE', `dangling is true or false, not ${value}`)
}

/** Whether labels have one, `KEY` with any value or `KEY=VALUE`. */
export function labelTest(text: string): (labels: Readonly<Record<string, string>>) => boolean {
  const equals = text.indexOf('=')
  const [key, wanted] = equals < 0 ? [text] : [text.slice(0, equals), text.slice(equals + 1)]
  return (labels) => {
    const found = labels[key]
    return found !== undefined && (wanted === undefined || wanted === found)
  }
}
