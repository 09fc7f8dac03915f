import { DrayError } from '#oci/error.ts'

/** Reads `KEY=VALUE`s; without a value, it is empty. @throws USAGE */
export function keyValues(what: string, texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf('=')
      if (equals === 0 || text === '') {
        throw new DrayError('USAGE', `invalid ${what} ${JSON.stringify(text)}: write KEY=VALUE`)
      }
      return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)]
    }),
  )
}
