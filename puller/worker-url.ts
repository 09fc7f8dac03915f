import { extname } from 'node:path'

/**
 * Where the unpacking thread's program is: built, it is a script. This file lies one directory below the root, and so does
 * whatever chunk of the build it ends up in (see scripts/build.ts).
 */
export function workerUrl(): URL {
  const extension = extname(import.meta.url) === '.ts' ? 'ts' : 'cjs'
  return new URL(`../puller/worker.${extension}`, import.meta.url)
}
