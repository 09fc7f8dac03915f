import { forEachName } from './containers.ts'
import { print } from './output/print.ts'
import { fillTemplate } from './output/template.ts'

/**
 * Prints what is known of each of several things: a JSON list, or a Go template filled with each. What can't be found is
 * said, and doesn't stop the others.
 */
export async function inspectEach(
  names: readonly string[],
  format: string | undefined,
  describe: (name: string) => Promise<unknown>,
): Promise<void> {
  const found: unknown[] = []
  const isTemplate = format !== undefined && format !== 'json'
  await forEachName(names, async (name, at) => {
    const facts = await describe(name)
    if (isTemplate) return fillTemplate(format, facts)
    found[at] = facts
    return undefined
  })
  if (!isTemplate) print(JSON.stringify(Object.values(found), undefined, 2)) // without those that were not found
}
