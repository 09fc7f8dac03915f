import { extname } from 'node:path'

/**
 * Where the unpacking thread's program is. This file lies one directory below the root, and so does whatever chunk
 * of the build it ends up in (see scripts/build.ts).
 */
export function workerUrl(): URL {
  return new URL(`../puller/worker${extname(import.meta.url)}`, import.meta.url)
}
