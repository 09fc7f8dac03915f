import { DrayError } from '#oci/error.ts'

/**
 * A pattern of names whose components are parted by `/`: `*` stands for any characters of one component, `**` as a
 * whole component for any number of them, at the end for one at least. `team/**` is all below `team`, not `team` itself.
 */
export type Glob = (text: string) => boolean

const ANY = '**'
const PATTERN_LIMIT = 1000

/**
 * Reads a pattern. To match takes time in proportion to both lengths, whatever they hold.
 *
 * @throws CONFIG_INVALID
 */
export function parseGlob(pattern: string): Glob {
  const components = pattern.split('/')
  const isWrong = components.some((each) => each !== ANY && each.includes(ANY))
  if (isWrong || pattern === '' || pattern.length > PATTERN_LIMIT) {
    throw new DrayError(
      'CONFIG_INVALID',
      `invalid pattern ${JSON.stringify(pattern.slice(0, 100))}: ` +
        'write components parted by slashes, with * inside of one, or ** in the place of several',
    )
  }
  if (!pattern.includes('*')) return (text) => text === pattern
  if (components.at(-1) === ANY) components.splice(-1, 1, '*', ANY)
  return (text) => matches(components, text.split('/'), ANY, isComponent)
}

function isComponent(pattern: string, text: string): boolean {
  if (!pattern.includes('*')) return pattern === text
  return matches(pattern, text, '*', (a, b) => a === b)
}

/** Wildcard matching that goes back to the last wildcard only, which is enough: an earlier one could take no more. */
function matches(
  pattern: ArrayLike<string>,
  text: ArrayLike<string>,
  wildcard: string,
  isOne: (pattern: string, text: string) => boolean,
): boolean {
  let at = 0
  let back = -1
  let resume = 0
  for (let i = 0; i < text.length; ) {
    const wanted = pattern[at]
    if (wanted === wildcard) {
      back = at++
      resume = i
    } else if (wanted !== undefined && isOne(wanted, text[i] ?? '')) {
      at++
      i++
    } else if (back >= 0) {
      at = back + 1
      i = ++resume
    } else {
      return false
    }
  }
  while (pattern[at] === wildcard) at++
  return at === pattern.length
}
