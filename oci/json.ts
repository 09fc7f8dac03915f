import { DrayError, type ErrorCode } from './error.ts'

export interface JsonLimits {
  /** Error code of everything that is wrong with the text. */
  readonly code: ErrorCode
  /** Largest text, in bytes. */
  readonly maxBytes: number
  /** Deepest nesting of objects and arrays. */
  readonly maxDepth?: number
}

const DEFAULT_DEPTH = 64

/**
 * Parses JSON that somebody else wrote. Stricter than `JSON.parse` where two readers could see two documents:
 * bytes that aren't UTF-8 and names that occur twice in one object are refused.
 *
 * @throws `limits.code`
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits): unknown {
  if (bytes.length > limits.maxBytes) {
    throw new DrayError(
      limits.code,
      `JSON of ${bytes.length} bytes: at most ${limits.maxBytes} are read`,
    )
  }
  const text = decode(bytes, limits.code)
  checkStructure(text, limits.maxDepth ?? DEFAULT_DEPTH, limits.code)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new DrayError(limits.code, `not JSON: ${(error as Error).message}`, { cause: error })
  }
}

function decode(bytes: Uint8Array, code: ErrorCode): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new DrayError(code, 'not JSON: the bytes are not UTF-8', { cause: error })
  }
}

const DULL = /[^"{}[\],:]+/y

/** One pass over the tokens that give a document its shape. What else may be wrong is left to `JSON.parse`. */
function checkStructure(text: string, maxDepth: number, code: ErrorCode): void {
  const open: (Set<string> | undefined)[] = []
  let last = ''
  for (let at = 0; at < text.length; ) {
    const c = text[at] ?? ''
    if (c === '"') {
      const end = endOfString(text, at)
      if (end === undefined) return
      last = text.slice(at, end)
      at = end
      continue
    }
    if (c === '{' || c === '[') {
      open.push(c === '{' ? new Set() : undefined)
      if (open.length > maxDepth)
        throw new DrayError(code, `JSON is nested deeper than ${maxDepth}`)
    } else if (c === '}' || c === ']') {
      open.pop()
    } else if (c === ':') {
      noteName(open.at(-1), last, code)
    } else if (c !== ',') {
      DULL.lastIndex = at
      DULL.test(text)
      at = DULL.lastIndex
      continue
    }
    at++
  }
}

/** Behind the closing quote. No regular expression: it would keep a way back for every character, and overflow. */
function endOfString(text: string, start: number): number | undefined {
  let quote = text.indexOf('"', start + 1)
  while (quote >= 0 && isEscaped(text, quote)) quote = text.indexOf('"', quote + 1)
  return quote < 0 ? undefined : quote + 1
}

function isEscaped(text: string, at: number): boolean {
  let before = at
  while (text[before - 1] === '\\') before--
  return (at - before) % 2 === 1
}

function noteName(names: Set<string> | undefined, token: string, code: ErrorCode): void {
  if (names === undefined) return
  const name = unescapeName(token)
  if (names.has(name)) throw new DrayError(code, `JSON has the name ${token} twice in one object`)
  names.add(name)
}

function unescapeName(token: string): string {
  if (!token.includes('\\')) return token
  try {
    return JSON.stringify(JSON.parse(token))
  } catch {
    return token
  }
}
