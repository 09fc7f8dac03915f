/**
 * Writes the types of the library, `dist/types`, from its sources. They import one another as the sources do, `#oci/digest.ts`,
 * which a package.json of their own leads to the declarations.
 */
import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const types = join(root, 'dist/types')

rmSync(types, { recursive: true, force: true })
const args = ['--project', join(root, 'tsconfig.library.json')]
const { status } = spawnSync(join(root, 'node_modules/.bin/tsc'), args, { stdio: 'inherit' })
if (status !== 0) process.exit(1)
const manifest = { type: 'module', imports: { '#*.ts': './*.d.ts' } }
writeFileSync(join(types, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`)
