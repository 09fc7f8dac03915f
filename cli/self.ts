import { existsSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'

/**
 * What starts this program with a command: the file that knows that one alone, if there is one (scripts/build.ts), or the one
 * that knows all.
 */
export function programFor(
  command: string,
  script = process.argv[1] ?? '',
): readonly [node: string, file: string] {
  const dist = dirname(dirname(script))
  const own = join(dist, 'commands', `${command}.cjs`)
  const all = extname(script) === '.cjs' ? join(dist, 'cli/main.js') : script
  return [process.execPath, existsSync(own) ? own : all]
}
