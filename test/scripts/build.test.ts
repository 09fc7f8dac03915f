import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { isBuiltin } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'

const ROOT = join(import.meta.dirname, '../..')

describe('the build', () => {
  let dir: string
  let dist: string

  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'dray-build-'))
    dist = join(dir, 'dist')
    symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'))
    build(dist)
  })

  after(() => rmSync(dir, { recursive: true, force: true }))

  it('makes the program and the worker, and a source map of each file', () => {
    const files = outputs(dist)
    assert.ok(files.includes('cli/main.js'))
    assert.ok(files.includes('puller/worker.cjs'))
    assert.ok(files.includes('commands/run.cjs'))
    const modules = files.filter((file) => file.endsWith('.js'))
    const scripts = files.filter((file) =>
      /^(?:commands|libraries|chunks|puller)\/[a-z-]+(?:-[\da-f]{16})?\.cjs$/.test(file),
    )
    assert.deepEqual(
      files,
      [...modules.flatMap((file) => [file, `${file}.map`]), ...scripts].sort(),
    )
  })

  it('puts every file one directory down, where relative URLs between them hold', () => {
    for (const file of outputs(dist)) assert.equal(file.split('/').length, 2, file)
  })

  it('makes a program that runs from any directory', () => {
    const result = spawnSync(process.execPath, [join(dist, 'cli/main.js'), '--version'], {
      cwd: '/',
      encoding: 'utf8',
    })
    assert.equal(result.stderr, '')
    assert.match(result.stdout, /\d+\.\d+\.\d+/)
    assert.equal(result.status, 0)
  })

  it('makes programs of one command, which import no other file but libraries', () => {
    const files = outputs(dist).filter((file) => file.startsWith('commands/'))
    const programs = outputs(dist).filter((file) => /^chunks\/.*\.cjs$/.test(file))
    assert.equal(programs.length, files.length)
    const libraries = outputs(dist)
      .filter((file) => file.startsWith('libraries/'))
      .map((file) => `../${file}`)
    for (const file of files) {
      const name = basename(file, '.cjs')
      const words = [join(dist, file), name, '--help']
      const result = spawnSync(process.execPath, words, { encoding: 'utf8' })
      assert.equal(result.status, 0, result.stderr)
      if (name !== 'ended') assert.match(result.stdout, new RegExp(`^Usage: dray ${name} `))
    }
    for (const file of [...files, ...programs]) {
      const imports = readFileSync(join(dist, file), 'utf8').matchAll(
        /\b(?:require|import)\("([^"]+)"\)/g,
      )
      const others = [...imports]
        .map(([, path = '']) => path)
        .filter((path) => !isBuiltin(path) && !libraries.includes(path))
      assert.deepEqual(others, [], file)
    }
  })

  it('fails as it should in a program of one command', () => {
    const program = join(dist, 'commands/images.cjs')
    const result = spawnSync(process.execPath, [program, 'images', '--no-such'], {
      encoding: 'utf8',
    })
    assert.equal(result.status, 1)
    assert.match(result.stderr, /unknown option '--no-such'/)
  })

  it('keeps the code that the first runs of a command used, and makes it anew when it is damaged', () => {
    const cache = join(dir, 'code')
    const code = join(cache, 'images.code')
    const runsOfCode = () => {
      const result = spawnSync(process.execPath, [join(dist, 'commands/images.cjs'), 'images'], {
        env: { ...process.env, DRAY_ROOT: join(dir, 'store'), NODE_COMPILE_CACHE: cache },
        encoding: 'utf8',
      })
      assert.equal(result.status, 0, result.stderr)
      return readFileSync(code)[32]
    }
    assert.deepEqual([1, 2, 3, 4, 5].map(runsOfCode), [1, 2, 3, 4, 4])
    const bytes = readFileSync(code)
    const damages: readonly [string, Buffer][] = [
      ['empty', Buffer.alloc(0)],
      ['cut', bytes.subarray(0, bytes.length / 2)],
      ['changed', Buffer.concat([bytes.subarray(0, -8), Buffer.alloc(8, 1)])],
      ['of another command', keptBy(dist, cache, 'ps')],
    ]
    for (const [what, damaged] of damages) {
      writeFileSync(code, damaged)
      assert.equal(runsOfCode(), 1, what)
    }
  })

  it('loads what speaks HTTP for commands that do, and undici and HTTP/2 for none', () => {
    const http = ['NativeModule http', 'NativeModule https']
    const never = ['NativeModule internal/deps/undici/undici', 'NativeModule http2']
    for (const program of ['cli/main.js', 'commands/images.cjs']) {
      const none = loadedBy(dist, program, 'images')
      for (const name of [...http, ...never]) assert.ok(!none.includes(name), name)
    }
    for (const program of ['cli/main.js', 'commands/pull.cjs']) {
      // Nobody listens there: it fails after it has asked.
      const pull = loadedBy(dist, program, 'pull', '-q', '127.0.0.1:1/x')
      for (const name of http) assert.ok(pull.includes(name), name)
      for (const name of never) assert.ok(!pull.includes(name), name)
    }
  })

  it('keeps the chunks of the last build for who may yet import them, but packs none; drops old ones and commands', () => {
    const fresh = outputs(dist)
    const recent = ['chunks/recent-AAAAAAAA.js', 'cli/.main.js.123', 'libraries/recent.cjs']
    const gone = ['chunks/old-AAAAAAAA.js', 'cli/.main.js.456', 'commands/recent.cjs']
    for (const file of [...recent, ...gone]) writeFileSync(join(dist, file), '')
    const twoDaysAgo = Date.now() / 1000 - 2 * 24 * 60 * 60
    for (const file of gone.slice(0, 2)) utimesSync(join(dist, file), twoDaysAgo, twoDaysAgo)
    build(dist)
    const types = ['types/package.json', 'types/oci/digest.d.ts']
    mkdirSync(join(dist, 'types/oci'), { recursive: true })
    for (const file of types) writeFileSync(join(dist, file), '{}')
    assert.deepEqual(outputs(dist), [...fresh, ...recent, ...types].sort())
    assert.deepEqual(packed(dist, join(dir, 'package')), [...fresh, ...types].sort())
    for (const file of [...recent, 'types']) rmSync(join(dist, file), { recursive: true })
  })
})

/** What a run of a command keeps. */
function keptBy(dist: string, cache: string, command: string): Buffer {
  const program = join(dist, `commands/${command}.cjs`)
  spawnSync(process.execPath, [program, command, '--help'], {
    env: { ...process.env, NODE_COMPILE_CACHE: cache },
  })
  return readFileSync(join(cache, `${command}.code`))
}

/** The modules of Node that a command loads. */
function loadedBy(dist: string, program: string, ...words: readonly string[]): readonly string[] {
  const hook = join(dist, 'list.cjs')
  writeFileSync(
    hook,
    "process.on('exit', () => require('node:fs').writeSync(3, process.moduleLoadList.join('\\n') + '\\n'))",
  )
  const args = ['--require', hook, join(dist, program), ...words]
  const { output } = spawnSync(process.execPath, args, {
    env: { ...process.env, DRAY_ROOT: join(dist, '../store') },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    encoding: 'utf8',
  })
  rmSync(hook)
  return String(output[3]).split('\n')
}

/** What npm takes of dist/ into a package; it is told by names, and need not compress what they have. */
function packed(dist: string, dir: string): string[] {
  for (const file of outputs(dist)) {
    mkdirSync(join(dir, 'dist', dirname(file)), { recursive: true })
    writeFileSync(join(dir, 'dist', file), '')
  }
  copyFileSync(join(dist, '.npmignore'), join(dir, 'dist/.npmignore'))
  const manifest = { name: 'packed', version: '1.0.0', files: ['dist'] }
  writeFileSync(join(dir, 'package.json'), JSON.stringify(manifest))
  const result = spawnSync('npm', ['pack', '--dry-run', '--json'], { cwd: dir, encoding: 'utf8' })
  assert.equal(result.status, 0, result.stderr)
  const [{ files }] = JSON.parse(result.stdout) as [{ files: { path: string }[] }]
  const paths = files.map(({ path }) => path).filter((path) => path.startsWith('dist/'))
  return paths.map((path) => path.slice('dist/'.length)).sort()
}

function build(dist: string): void {
  const result = spawnSync(process.execPath, ['scripts/build.ts', dist], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  assert.equal(result.status, 0, result.stderr)
}

/** Every file but what tells npm of them, also one that a build should have renamed. */
function outputs(dist: string): string[] {
  return globSync('**/{*,.*}', { cwd: dist, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(dist.length + 1))
    .filter((file) => file !== '.npmignore')
    .sort()
}
