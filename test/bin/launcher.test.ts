import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, beforeEach, describe, it } from 'node:test'

const BIN = join(import.meta.dirname, '../../bin')

describe('bin/dray', () => {
  const scratch: string[] = []
  let base: string
  let root: string

  beforeEach(() => {
    base = realpathSync(mkdtempSync(join(tmpdir(), 'dray-launcher-')))
    scratch.push(base)
    root = join(base, 'dray')
    install(root)
  })

  after(() => {
    for (const dir of scratch) rmSync(dir, { recursive: true, force: true })
  })

  it('runs the pinned Node when the PATH has an older one only', () => {
    fakeNode(join(root, 'node_modules/node/bin/node'), 'pinned')
    const result = run(join(root, 'bin/dray'), ['pull', 'a b', ''], { PATH: oldNode(base) })
    assert.deepEqual(said(result), [
      'pinned',
      '--',
      join(root, 'dist/cli/main.js'),
      'pull',
      'a b',
      '',
    ])
  })

  it('runs the pinned Node rather than the one on the PATH', () => {
    fakeNode(join(root, 'node_modules/node/bin/node'), 'pinned')
    const result = run(join(root, 'bin/dray'), [], { PATH: currentNode(base) })
    assert.equal(said(result)[0], 'pinned')
  })

  it('finds the pinned Node beside the package when npm placed both in one node_modules', () => {
    const nested = join(base, 'app/node_modules/dray')
    install(nested)
    fakeNode(join(base, 'app/node_modules/node/bin/node'), 'beside')
    const result = run(join(nested, 'bin/dray'), [], { PATH: oldNode(base) })
    assert.deepEqual(said(result), ['beside', '--', join(nested, 'dist/cli/main.js')])
  })

  it('runs a new enough Node from the PATH when none is pinned', () => {
    const result = run(join(root, 'bin/dray'), ['info'], { PATH: currentNode(base) })
    assert.deepEqual(said(result), ['main', 'info'])
  })

  it('works through a chain of relative and absolute symbolic links', () => {
    fakeNode(join(root, 'node_modules/node/bin/node'), 'pinned')
    mkdirSync(join(base, 'a'))
    mkdirSync(join(base, 'b'))
    symlinkSync('../dray/bin/dray', join(base, 'a/one'))
    symlinkSync(join(base, 'a/one'), join(base, 'b/two'))
    symlinkSync('two', join(base, 'b/dray'))
    const result = run(join(base, 'b/dray'), ['x'], { PATH: oldNode(base) })
    assert.deepEqual(said(result), ['pinned', '--', join(root, 'dist/cli/main.js'), 'x'])
  })

  it('works from any directory, by a relative path and by the PATH', () => {
    fakeNode(join(root, 'node_modules/node/bin/node'), 'pinned')
    const path = { PATH: `${join(root, 'bin')}:${oldNode(base)}` }
    for (const [command, cwd] of [
      ['./dray', join(root, 'bin')],
      ['bin/dray', root],
      ['dray', '/'],
    ] as const) {
      const result = run(command, [], path, cwd)
      assert.deepEqual(said(result), ['pinned', '--', join(root, 'dist/cli/main.js')])
    }
  })

  it('works in a directory with a space in its name', () => {
    const odd = join(base, 'my tools/dray')
    install(odd)
    fakeNode(join(odd, 'node_modules/node/bin/node'), 'pinned')
    const result = run(join(odd, 'bin/dray'), [], { PATH: oldNode(base) })
    assert.deepEqual(said(result), ['pinned', '--', join(odd, 'dist/cli/main.js')])
  })

  it('says to run npm ci in one line when there is no Node', () => {
    refused(run(join(root, 'bin/dray'), [], { PATH: tools(base) }))
  })

  it('says to run npm ci in one line when the only Node is too old', () => {
    const check = join(root, 'bin/require-node-24.cjs')
    const result = spawnSync(
      process.execPath,
      [
        '--eval',
        `Object.defineProperty(process.versions, 'node', { value: '20.19.2' }); require(${JSON.stringify(check)}); console.log('reached')`,
      ],
      { encoding: 'utf8' },
    )
    refused(result)
    assert.equal(result.stdout, '')
    const launched = run(join(root, 'bin/dray'), [], { PATH: oldNode(base) })
    assert.deepEqual(said(launched), [
      'old',
      '--require',
      check,
      '--',
      join(root, 'dist/cli/main.js'),
    ])
  })

  it('says to run npm ci in one line when it has not been built', () => {
    fakeNode(join(root, 'node_modules/node/bin/node'), 'pinned')
    rmSync(join(root, 'dist'), { recursive: true })
    refused(run(join(root, 'bin/dray'), [], { PATH: oldNode(base) }))
  })

  it('says to raise the limit of open files where Node would crash', () => {
    fakeNode(join(root, 'node_modules/node/bin/node'), 'pinned')
    const limited = (limit: string) =>
      spawnSync('/bin/sh', ['-c', `ulimit ${limit}; exec "$0"`, join(root, 'bin/dray')], {
        encoding: 'utf8',
      })
    const result = limited('-n 20')
    assert.equal(result.status, 1)
    assert.match(result.stderr, /^dray: only 20 files [^\n]*ulimit -n[^\n]*\n$/)
    assert.equal(said(limited('-Sn 32'))[0], 'pinned')
  })

  it('leaves environment files to the command', () => {
    const file = join(base, 'variables')
    writeFileSync(file, 'FROM_FILE=1\n')
    const words = ['tell', 'FROM_FILE', '--env-file', file, '--env-file=/nowhere']
    const result = run(join(root, 'bin/dray'), words, { PATH: currentNode(base) })
    assert.deepEqual(said(result), ['undefined'])
  })

  it('passes the exit code', () => {
    const result = run(join(root, 'bin/dray'), ['exit', '42'], { PATH: currentNode(base) })
    assert.equal(result.status, 42)
  })

  it('is replaced by Node, so that signals arrive', async () => {
    const child = spawn(join(root, 'bin/dray'), ['wait'], {
      env: { PATH: currentNode(base) },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    child.kill('SIGTERM')
    const status = await new Promise((resolve) => child.once('exit', resolve))
    assert.equal(status, 77)
  })

  it('runs the program of a command where there is one', () => {
    fakeNode(join(root, 'node_modules/node/bin/node'), 'pinned')
    mkdirSync(join(root, 'dist/commands'))
    writeFileSync(join(root, 'dist/commands/ps.cjs'), '')
    const cases = [
      [['ps', '-a'], 'commands/ps.cjs'],
      [['images'], 'cli/main.js'],
      [['../commands/ps'], 'cli/main.js'],
      [['--debug', 'ps'], 'cli/main.js'],
      [[''], 'cli/main.js'],
    ] as const
    for (const [words, program] of cases) {
      const result = run(join(root, 'bin/dray'), [...words], { PATH: oldNode(base) })
      assert.deepEqual(said(result), ['pinned', '--', join(root, 'dist', program), ...words])
    }
  })

  it("keeps compiled code in the user's cache", () => {
    const home = join(base, 'home')
    mkdirSync(home)
    run(join(root, 'bin/dray'), [], { PATH: currentNode(base), HOME: home })
    assert.ok(existsSync(join(home, '.cache/dray/compile')))
  })

  it('works when the cache cannot be written', () => {
    const home = join(base, 'home')
    mkdirSync(home)
    writeFileSync(join(home, '.cache'), 'a file where a directory should be')
    const result = run(join(root, 'bin/dray'), [], { PATH: currentNode(base), HOME: home })
    assert.deepEqual(said(result), ['main'])
  })
})

/** A package as `npm ci` leaves it, with a program that tells what it was given. */
function install(root: string): void {
  mkdirSync(join(root, 'dist/cli'), { recursive: true })
  mkdirSync(join(root, 'node_modules'))
  cpSync(BIN, join(root, 'bin'), { recursive: true })
  writeFileSync(join(root, 'package.json'), '{"type":"module"}')
  writeFileSync(
    join(root, 'dist/cli/main.js'),
    `const [command, value] = process.argv.slice(2)
if (command === 'exit') process.exit(Number(value))
if (command === 'tell') {
  console.log(process.env[value])
  process.exit()
}
if (command === 'wait') {
  process.on('SIGTERM', () => process.exit(77))
  setInterval(() => {}, 1000)
}
console.log(['main', ...process.argv.slice(2)].join('\\n'))
`,
  )
}

function fakeNode(path: string, name: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `#!/bin/sh\nprintf '%s\\n' ${name} "$@"\n`)
  chmodSync(path, 0o755)
}

/** A PATH without any Node. */
function tools(base: string): string {
  const dir = join(base, 'tools')
  mkdirSync(dir, { recursive: true })
  for (const name of ['sh', 'readlink']) {
    const found = ['/bin', '/usr/bin'].map((folder) => join(folder, name)).find(existsSync)
    if (found !== undefined && !existsSync(join(dir, name))) symlinkSync(found, join(dir, name))
  }
  return dir
}

function oldNode(base: string): string {
  fakeNode(join(base, 'old/node'), 'old')
  return `${join(base, 'old')}:${tools(base)}`
}

function currentNode(base: string): string {
  mkdirSync(join(base, 'current'), { recursive: true })
  symlinkSync(process.execPath, join(base, 'current/node'))
  return `${join(base, 'current')}:${tools(base)}`
}

type Result = SpawnSyncReturns<string>

function run(command: string, args: string[], env: Record<string, string>, cwd = '/'): Result {
  return spawnSync('/bin/sh', ['-c', 'exec "$0" "$@"', command, ...args], {
    cwd,
    env,
    encoding: 'utf8',
  })
}

function said(result: Result): string[] {
  assert.equal(result.stderr, '')
  assert.equal(result.status, 0)
  return result.stdout.replace(/\n$/, '').split('\n')
}

function refused(result: Result): void {
  assert.equal(result.status, 1)
  assert.match(result.stderr, /^dray: [^\n]*npm ci[^\n]*\n$/)
}
