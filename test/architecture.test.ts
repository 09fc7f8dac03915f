import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, normalize } from 'node:path'
import { describe, it } from 'node:test'

const ROOT = join(import.meta.dirname, '..')

/** Each module with the modules that it may import from. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  oci: [],
  registry: ['oci'],
  puller: ['oci'],
  runner: ['oci'],
  cli: ['registry', 'puller', 'runner', 'oci'],
}

/** What oci, which everything stands on, may import from npm. */
const OCI_PACKAGES = ['zod']

/** Where the environment is read; everybody else is told. */
const ENVIRONMENT = /^(?:registry\/config\.ts$|cli\/)/

const { dependencies, devDependencies } = JSON.parse(
  readFileSync(join(ROOT, 'package.json'), 'utf8'),
) as Record<'dependencies' | 'devDependencies', Record<string, string>>

interface Import {
  readonly file: string
  readonly specifier: string
}

const FILES = Object.keys(ARROWS)
  .flatMap((module) => globSync(`${module}/**/*.ts`, { cwd: ROOT }))
  .sort()
const IMPORTS = FILES.flatMap((file) =>
  importsOf(readFileSync(join(ROOT, file), 'utf8')).map((specifier) => ({ file, specifier })),
)

describe('the modules', () => {
  it('import one another along the arrows only', () => {
    none(IMPORTS.filter((each) => !followsArrows(each)))
  })

  it('are imported as #module/file.ts from outside and by a relative path from inside', () => {
    none(IMPORTS.filter((each) => !isWellWritten(each)))
  })

  it('import files that exist', () => {
    none(IMPORTS.filter((each) => targetOf(each) !== undefined && !existsSync(fileOf(each))))
  })

  it('import Node by its node: names', () => {
    none(IMPORTS.filter(({ specifier }) => isBuiltin(specifier) && !specifier.startsWith('node:')))
  })

  it('import packages only that package.json names', () => {
    none(IMPORTS.filter((each) => packageOf(each) !== undefined && !isDependency(each)))
  })

  it('keep oci free of packages but zod', () => {
    const outside = IMPORTS.filter((each) => {
      const name = packageOf(each)
      return moduleOf(each.file) === 'oci' && name !== undefined && !OCI_PACKAGES.includes(name)
    })
    none(outside)
  })

  it('need every dependency of package.json', () => {
    const needed = new Set(IMPORTS.map(packageOf))
    const unused = Object.keys(dependencies).filter((name) => !needed.has(name))
    assert.deepEqual(unused, [])
  })

  it('have a reason written down for every dependency', () => {
    const reasons = readFileSync(join(ROOT, 'docs/adr/0004-dependencies.md'), 'utf8')
    const names = Object.keys({ ...dependencies, ...devDependencies })
    assert.deepEqual(
      names.filter((name) => !reasons.includes(`\`${name}\``)),
      [],
    )
  })

  it('read the environment in the config and the command line only', () => {
    const readers = FILES.filter(
      (file) => !ENVIRONMENT.test(file) && readsEnvironment(readFileSync(join(ROOT, file), 'utf8')),
    )
    assert.deepEqual(readers, [])
  })
})

describe('the reader of imports', () => {
  it('sees every form of import', () => {
    const source = `
import a from 'a'
import type { B } from 'b'
import { type C } from "c"
import {
  d,
} from 'd'
import 'e'
export * from 'f'
export type { G } from 'g'
const h = await import('h')
type I = import('i').I
const j = await import(
  'j',
)
const k = require('k')
const text = 'import from a file'
`
    assert.deepEqual(importsOf(source), ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k'])
  })
})

/** A parameter called `process` is the one of a container. */
function readsEnvironment(source: string): boolean {
  const isGlobal = !/\bprocess\??: /.test(source)
  return (
    (isGlobal && /\bprocess\s*\??\.\s*env\b/.test(source)) ||
    /\benv\b[^;\n]*from 'node:process'/.test(source)
  )
}

function importsOf(source: string): string[] {
  const forms = /\b(?:from\s*|import\s*\(?\s*|require\s*\(\s*)(['"])([^'"\n]+)\1/g
  return [...source.matchAll(forms)].map(([, , specifier]) => specifier ?? '')
}

function moduleOf(file: string): string {
  return file.slice(0, file.indexOf('/'))
}

function packageOf({ specifier }: Import): string | undefined {
  if (/^[.#/]/.test(specifier) || isBuiltin(specifier)) return undefined
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function isDependency(each: Import): boolean {
  return Object.hasOwn(dependencies, packageOf(each) ?? '')
}

/** The file that is meant, from the root of the repository; undefined for what comes from outside. */
function targetOf({ file, specifier }: Import): string | undefined {
  if (specifier.startsWith('#')) return specifier.slice(1)
  if (specifier.startsWith('.')) return normalize(join(dirname(file), specifier))
  return undefined
}

function fileOf(each: Import): string {
  return join(ROOT, targetOf(each) ?? '')
}

function followsArrows(each: Import): boolean {
  const target = targetOf(each)
  if (target === undefined || !target.includes('/')) return true
  const from = moduleOf(each.file)
  const to = moduleOf(target)
  return from === to || ARROWS[from]?.includes(to) === true
}

function isWellWritten(each: Import): boolean {
  const target = targetOf(each)
  if (target === undefined) return true
  const isInside = moduleOf(each.file) === moduleOf(target)
  const isRelative = each.specifier.startsWith('.')
  // What stands beside the modules, such as package.json, belongs to none of them.
  if (!target.includes('/')) return target === 'package.json'
  return isInside === isRelative && /\.(?:ts|json)$/.test(target)
}

function none(found: readonly Import[]): void {
  assert.deepEqual(
    found.map(({ file, specifier }) => `${file} imports ${specifier}`),
    [],
  )
}
