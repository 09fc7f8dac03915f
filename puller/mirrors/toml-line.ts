import type { Key } from './toml.ts'

const NAME = /\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*(\.)?/y

/**
 * The line, from 1 on, on which a value of a TOML document begins, for a person to look at: the parser doesn't say. Of a value
 * that has no line of its own it is that of what it is in.
 */
export function lineOf(text: string, path: readonly Key[]): number {
  let table: readonly Key[] = []
  let best = { line: 1, depth: 0 }
  const tables = new Map<string, number>()
  for (const [at, line] of text.split('\n').entries()) {
    const header = /^\s*(\[\[?)/.exec(line)
    const names = namesAt(line, header?.[0].length ?? 0)
    if (names === undefined) continue
    if (header !== null) table = tableOf(names, header[1] === '[[', tables)
    else if (!names.isKey) continue
    const here = header === null ? [...table, ...names.names] : table
    if (here.length > best.depth && here.every((step, i) => step === path[i])) {
      best = { line: at + 1, depth: here.length }
    }
  }
  return best.line
}

interface Names {
  readonly names: readonly string[]
  /** Whether a value follows. */
  readonly isKey: boolean
}

/** The dotted name that begins at a place of a line. */
function namesAt(line: string, start: number): Names | undefined {
  const names: string[] = []
  NAME.lastIndex = start
  for (;;) {
    const match = NAME.exec(line)
    if (match === null) return undefined
    names.push(match[1] ?? match[2] ?? match[3] ?? '')
    if (match[4] !== '.') return { names, isKey: line[NAME.lastIndex] === '=' }
  }
}

/** The path of a table; in arrays of tables the last one is meant. */
function tableOf({ names }: Names, isArray: boolean, tables: Map<string, number>): readonly Key[] {
  const path: Key[] = []
  for (const [at, name] of names.entries()) {
    path.push(name)
    const key = JSON.stringify(path)
    const isNew = isArray && at === names.length - 1
    const last = tables.get(key)
    if (isNew) tables.set(key, (last ?? -1) + 1)
    const index = tables.get(key)
    if (index !== undefined) path.push(index)
  }
  return path
}
