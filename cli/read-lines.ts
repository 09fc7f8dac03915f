import { readFile } from 'node:fs/promises'
import { DrayError, errorMessage } from '#oci/error.ts'

/** Lines of `KEY=VALUE` or `KEY`, as docker reads them: no quotes, no expansion, # begins a comment line. */
export async function readLines(paths: readonly string[]): Promise<string[]> {
  const texts = await Promise.all(paths.map(readText))
  return texts
    .flatMap((text) => text.split('\n'))
    .map((line) => line.trimStart().replace(/\r$/, ''))
    .filter((line) => line !== '' && !line.startsWith('#'))
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new DrayError('USAGE', `cannot read ${path}: ${errorMessage(cause)}`, { cause })
  }
}
