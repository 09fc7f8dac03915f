import { readFileSync, renameSync, writeFileSync } from 'node:fs'

/** Writes a small file of this user's alone in the place of another one, whole or not at all. It may be gone after a power cut. */
export function writeStateFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

/** Reads JSON that this program wrote; undefined when it isn't there, or not whole. */
export function readStateFile<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T
  } catch {
    return undefined
  }
}
