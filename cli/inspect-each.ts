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
  await forEachName(names, async (name) => {
    found.push(await describe(name))
  })
  if (format === undefined || format === 'json') print(JSON.stringify(found, undefined, 2))
  else for (const facts of found) print(fillTemplate(format, facts))
}
