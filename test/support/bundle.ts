import { basename, join } from 'node:path'
import { build } from 'esbuild'

/** CommonJS dependencies call `require`, which ES modules lack. */
const BANNER =
  "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

/**
 * Makes a few files in `dir` of a program of the tests and all that it imports. One that is started a hundred times spends most of its
 * time on finding and reading some hundred sources otherwise.
 *
 * @returns what to start
 */
export async function bundle(program: string, dir: string): Promise<string> {
  await build({
    entryPoints: [program],
    outdir: dir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    mainFields: ['module', 'main'],
    banner: { js: BANNER },
    logLevel: 'warning',
  })
  return join(dir, basename(program).replace(/\.ts$/, '.mjs'))
}
