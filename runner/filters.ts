import { DrayError } from '#oci/error.ts'
import { parseMoment } from './log/time.ts'

/** What filters may be about: from the value of one, what it lets pass. */
export type FilterTests<T> = Readonly<Record<string, (value: string) => (thing: T) => boolean>>

/** The things that pass filters, as {@link passesFilters} tells. @throws USAGE */
export function filterBy<T>(
  things: readonly T[],
  filters: readonly string[],
  tests: FilterTests<T>,
): T[] {
  return things.filter(passesFilters(filters, tests))
}

/**
 * Tells what passes docker's filters, `KEY=VALUE` each. Those with one key are alternatives, except `label` and `label!`; different keys must all
 * hold.
 *
 * @throws USAGE
 */
export function passesFilters<T>(
  filters: readonly string[],
  tests: FilterTests<T>,
): (thing: T) => boolean {
  const wanted = filters.map((filter) => {
    const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(filter) ?? []
    const test = Object.hasOwn(tests, key) ? tests[key] : undefined
    if (test === undefined) {
      const message = `no such filter ${JSON.stringify(filter)}: write KEY=VALUE, with ${Object.keys(tests).join(', ')}`
      throw new DrayError('USAGE', message)
    }
    return { group: key.startsWith('label') ? filter : key, test: test(value) }
  })
  const groups = [...Map.groupBy(wanted, ({ group }) => group).values()]
  return (thing) => groups.every((group) => group.some(({ test }) => test(thing)))
}

/** The value of `dangling`. @throws USAGE */
export function isDangling(value: string): boolean {
  if (/^(?:true|false|0|1)$/.test(value)) return value === 'true' || value === '1'
  throw new DrayError('USAGE', `dangling is true or false, not ${value}`)
}

/** The test of filters by label, of things that have labels. */
export function byLabel<T>(labelsOf: (thing: T) => Readonly<Record<string, string>>) {
  return (value: string) => {
    const isIn = labelTest(value)
    return (thing: T) => isIn(labelsOf(thing))
  }
}

/** What the filters of `prune` may be about. */
export interface PruneFacts<T> {
  readonly labelsOf: (thing: T) => Readonly<Record<string, string>>
  /** Milliseconds since 1970; NaN where nobody knows, which is before nothing. Without it there is no `until`. */
  readonly createdOf?: (thing: T) => number
}

/** `label`, `label!` and, of what has a date, `until`. */
export function pruneTests<T>({ labelsOf, createdOf }: PruneFacts<T>): FilterTests<T> {
  const has = byLabel(labelsOf)
  const labels: FilterTests<T> = {
    label: has,
    'label!': (value) => {
      const isIn = has(value)
      return (thing) => !isIn(thing)
    },
  }
  if (createdOf === undefined) return labels
  const until = (value: string) => {
    const moment = parseMoment(value)
    return (thing: T) => createdOf(thing) < moment
  }
  return { ...labels, until }
}

/** Whether labels have one, `KEY` with any value or `KEY=VALUE`. */
function labelTest(text: string): (labels: Readonly<Record<string, string>>) => boolean {
  const equals = text.indexOf('=')
  const [key, wanted] = equals < 0 ? [text] : [text.slice(0, equals), text.slice(equals + 1)]
  return (labels) => {
    const found = labels[key]
    return found !== undefined && (wanted === undefined || wanted === found)
  }
}
