import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { hostPlatform } from '#oci/platform.ts'
import { startOpenRegistry } from '../support/open-registry.ts'
import { smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'
import { artifactOn, indexOf, seed } from './copy/images.ts'

const ROOT = join(import.meta.dirname, '../..')
const PAGE = readFileSync(join(ROOT, 'docs/library.md'), 'utf8')
const { architecture } = hostPlatform()
const HERE = smallImage([tarOf({ hello: 'here' })], { config: { architecture } })
const APP = indexOf([
  [HERE, architecture],
  [smallImage([tarOf({ hello: 'there' })], { config: { architecture: 's390x' } }), 's390x'],
])

/** The programs of the page, each by its heading, in their order: what one leaves, the next ones find. */
const PROGRAMS = [...PAGE.matchAll(/^## (.+)\n\n```ts\n([\s\S]*?)^```$/gm)]

const SAYS: Readonly<Record<string, RegExp>> = {
  'Pull, and see how far it is': new RegExp(
    `is there\n.* is ${APP.top.digest}: [1-9]\\d+ bytes came\n$`,
  ),
  'What a container needs': /^lowerdir=.*\/layers\/.*\n\/hello\n$/,
  'Settings of the machine': new RegExp(`^${APP.top.digest}\n$`),
  'Make an image, and push it': /^sha256:[0-9a-f]{64}: [1-9]\d+ bytes sent\n$/,
  'Copy without a store': new RegExp(`^${APP.top.digest}, and 1 artifacts`),
  'Errors, and what to do about them': /^no such image\n$/,
  'Remove images': /team\/app:1 [1-9]\d+\n.*team\/hello:1 [1-9]\d+\n$/,
}

const run = promisify(execFile)

/** Where `dray` is installed, as npm does with a package in a directory. */
function makeProject(dir: string): void {
  mkdirSync(join(dir, 'node_modules/@types'), { recursive: true })
  symlinkSync(ROOT, join(dir, 'node_modules/dray'))
  symlinkSync(join(ROOT, 'node_modules/@types/node'), join(dir, 'node_modules/@types/node'))
  writeFileSync(join(dir, 'package.json'), '{ "type": "module" }')
}

describe('dray/puller', () => {
  before(() => run(process.execPath, [join(ROOT, 'scripts/declarations.ts')]))

  it('does what its page says, program by program', async (t) => {
    const registry = await startOpenRegistry(t)
    const mirror = await startOpenRegistry(t)
    await seed(registry.host, 'team/app', APP, '1')
    await seed(registry.host, 'team/app', artifactOn(APP.top, 'application/vnd.example.sbom'))
    const dir = tempDir(t)
    makeProject(dir)
    const env = { PATH: process.env.PATH, HOME: dir }
    for (const [at, [, heading = '', program = '']] of PROGRAMS.entries()) {
      const path = join(dir, `${at}.ts`)
      const here = program
        .replaceAll('registry.example', registry.host)
        .replaceAll('mirror.example', mirror.host)
      writeFileSync(path, here)
      const { stdout } = await run(process.execPath, [path], { cwd: dir, env })
      assert.match(stdout, SAYS[heading] ?? /there is no test of this program/, heading)
    }
    assert.equal(PROGRAMS.length, Object.keys(SAYS).length)
    assert.equal(PROGRAMS.length, PAGE.split('```ts\n').length - 1)
  })

  it('has types that programs of strict settings are checked by', async (t) => {
    const dir = tempDir(t)
    makeProject(dir)
    for (const [at, [, , program = '']] of PROGRAMS.entries())
      writeFileSync(join(dir, `${at}.ts`), program)
    const wrong = "import { openStore } from 'dray/puller'\nawait openStore(1)\n"
    writeFileSync(join(dir, 'wrong.ts'), wrong)
    const strict = {
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
    }
    const module = { module: 'nodenext', target: 'es2024', types: ['node'], noEmit: true }
    writeFileSync(
      join(dir, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: { ...strict, ...module, skipLibCheck: false } }),
    )
    const tsc = join(ROOT, 'node_modules/.bin/tsc')
    const said = await run(tsc, ['--pretty', 'false'], { cwd: dir }).catch(({ stdout }) => ({
      stdout,
    }))
    assert.match(said.stdout, /^wrong\.ts\(2,17\): error TS2345:.*\n$/)
  })
})
