/** What a registry asks for in `WWW-Authenticate` (RFC 9110, section 11.6.1). */
export interface Challenge {
  /** In lower case: `bearer` or `basic`. */
  readonly scheme: string
  readonly parameters: Readonly<Record<string, string>>
}

const PARAMETER = /\s*([a-zA-Z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)/y

/** Reads the first challenge of a header; undefined when it isn't one. */
export function parseChallenge(header: string): Challenge | undefined {
  const scheme = /^\s*([a-zA-Z]+)(?:\s+|$)/.exec(header)
  if (scheme?.[1] === undefined || header.length > 8192) return undefined
  const parameters: Record<string, string> = Object.create(null)
  PARAMETER.lastIndex = scheme[0].length
  for (let match = PARAMETER.exec(header); match !== null; match = PARAMETER.exec(header)) {
    const [, name = '', quoted, bare] = match
    parameters[name.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? bare ?? ''
  }
  return { scheme: scheme[1].toLowerCase(), parameters }
}
