import { readdirSync, rmdirSync, unlinkSync } from 'node:fs'

/** Removes a directory and what it holds. Names are bytes and symlinks are removed, not followed. */
export function removeTree(directory: Buffer): void {
  for (const entry of readdirSync(directory, { encoding: 'buffer', withFileTypes: true })) {
    const path = Buffer.concat([directory, SLASH, entry.name])
    if (entry.isDirectory()) removeTree(path)
    else unlinkSync(path)
  }
  rmdirSync(directory)
}

const SLASH = Buffer.from('/')
