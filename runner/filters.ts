/** A test that a filter `KEY=VALUE` stands for, and the group that it is in. */
export type GroupedTest<T> = readonly [group: string, test: (thing: T) => boolean]

/** Whether something passes filters as docker has them: those of one group are alternatives, and every group must hold. */
export function passesAll<T>(tests: readonly GroupedTest<T>[]): (thing: T) => boolean {
  const groups = [...Map.groupBy(tests, ([group]) => group).values()]
  return (thing) => groups.every((group) => group.some(([, test]) => test(thing)))
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
