import { readFileSync } from 'node:fs'

/** The text of a small file; nothing where it can't be read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
