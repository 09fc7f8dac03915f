/** What a registry asks for in `WWW-Authenticate` (RFC 9110, section 11.6.1). */
export interface Challenge {
  /** In lower case: `bearer` or `basic`. */
  readonly scheme: string
  readonly parameters: Readonly<Record<string, string>>
}

const HEADER_LIMIT = 8192
const SCHEME = /[\s,]*([a-zA-Z]+)(?=[\s,]|$)\s*/y
const PARAMETER = /\s*([a-zA-Z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)/y

/** Those that can be answered, the better one first. */
const KNOWN: readonly string[] = ['bearer', 'basic']

/** Reads the best challenge of a header that may hold several; undefined when it has none. */
export function parseChallenge(header: string): Challenge | undefined {
  const challenges = header.length > HEADER_LIMIT ? [] : parseAll(header)
  const known = KNOWN.map((scheme) => challenges.find((each) => each.scheme === scheme))
  return known.find((challenge) => challenge !== undefined) ?? challenges[0]
}

function parseAll(header: string): Challenge[] {
  const challenges: Challenge[] = []
  for (let end = 0; ; ) {
    SCHEME.lastIndex = end
    const [, scheme] = SCHEME.exec(header) ?? []
    if (scheme === undefined) return challenges
    const parameters: Record<string, string> = Object.create(null)
    end = SCHEME.lastIndex
    PARAMETER.lastIndex = end
    for (let match = PARAMETER.exec(header); match !== null; match = PARAMETER.exec(header)) {
      const [, name = '', quoted, bare] = match
      parameters[name.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? bare ?? ''
      end = PARAMETER.lastIndex
    }
    challenges.push({ scheme: scheme.toLowerCase(), parameters })
  }
}
