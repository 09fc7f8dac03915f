/**
 * Builds what users run, from the sources that tests and tools run: `node scripts/build.ts [OUT]`.
 *
 *     dist/cli/main.js                  the program; bin/dray starts it
 *     dist/commands/*.cjs               start the program with one command alone, a chunk; bin/dray prefers them: one file is
 *                                       loaded faster than a hundred, and a script faster than an ES module
 *     dist/libraries/*.cjs              packages that those programs have a use for now and then
 *     dist/puller/library.js            `dray/puller` for other programs; scripts/declarations.ts writes its types
 *     dist/puller/worker.cjs            the thread that unpacks layers, a script for the same reason
 *     dist/registry/password-worker.js  the thread that checks passwords
 *     dist/chunks/*.js                  what they share, and what a command imports when it needs it
 *     dist/.npmignore                   keeps what earlier builds left out of a package
 *
 * Every output lies exactly one directory below dist/, as a source directly in a module does below the repository. So
 * one expression there finds an entry point, from source and built, whichever chunk the code ends up in:
 *
 *     new URL(`../registry/password-worker${extname(import.meta.url)}`, import.meta.url)
 */
import { createHash } from 'node:crypto'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { build, type BuildOptions, type OutputFile, type Plugin } from 'esbuild'

const ENTRY_POINTS = ['cli/main.ts', 'puller/library.ts', 'registry/password-worker.ts']

/** Native code can't be bundled. */
const EXTERNAL = ['koffi']

/** CommonJS dependencies call `require`, which ES modules lack. */
const BANNER =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);"

/** What is typed often, or started for each container. */
const COMMANDS =
  'run create start stop restart kill rm ps logs exec wait inspect pull images ended healthcheck'.split(
    ' ',
  )

/**
 * Packages that most runs of a command have no use for. Apart, they make a third of a program that need not be read, nor its
 * compiled form checked, at each start.
 */
const LIBRARIES = ['got', 'smol-toml', 'tldts', 'yaml']

/** Its file's extension is that of the entry points that it looks for. */
const SCRIPT_BANNER =
  "const __url = require('node:url').pathToFileURL(__dirname + '/command.js').href;"

/** How long the chunks of earlier builds stay for processes that have yet to import them. */
const STALE_AFTER_MS = 24 * 60 * 60 * 1000

const root = dirname(import.meta.dirname)
const dist = resolve(process.argv[2] ?? join(root, 'dist'))

/**
 * An ES import of `node:http` reads each of its exports, and one of them loads all of undici, which takes longer than
 * all else that a command loads. `require` reads none. Nor is HTTP/2 loaded, which got could speak and never does for us.
 */
const leanHttp: Plugin = {
  name: 'lean-http',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^node:https?$/ }, ({ path, kind }) =>
      kind === 'require-call' ? { path, external: true } : { path, namespace: 'required' },
    )
    onLoad({ filter: /.*/, namespace: 'required' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)})`,
    }))
    onResolve({ filter: /^node:http2$/ }, ({ path, importer }) =>
      importer.includes('/node_modules/got/') ? { path, namespace: 'unused' } : undefined,
    )
    onLoad({ filter: /.*/, namespace: 'unused' }, () => ({
      contents: 'module.exports = { constants: {}, Http2ServerResponse: class {} }',
    }))
  },
}

/**
 * got checks its options by a library that makes two lists of words as it is loaded, for its errors, and that loads the data of
 * all languages: 20 ms. Now they are made for an error.
 */
const lazyLists: Plugin = {
  name: 'lazy-lists',
  setup({ onLoad }) {
    onLoad({ filter: /\/@sindresorhus\/is\/distribution\/index\.js$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll(
        /= (new Intl\.ListFormat\([^)]*\))/g,
        '= { format: (list) => $1.format(list) }',
      ),
    }))
  },
}

/** Has a program ask for a library when it needs it. */
const librariesApart: Plugin = {
  name: 'libraries-apart',
  setup({ onResolve }) {
    onResolve({ filter: new RegExp(`^(?:${LIBRARIES.join('|')})$`) }, ({ path }) => ({
      path: `../libraries/${path}.cjs`,
      external: true,
    }))
  },
}

/** A package as a script: what it exports by default is all of it, as Node has it where a module imports a script. */
const libraryAlone: Plugin = {
  name: 'library-alone',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^library:/ }, ({ path }) => ({
      path: path.slice('library:'.length),
      namespace: 'library',
    }))
    onLoad({ filter: /.*/, namespace: 'library' }, ({ path }) => ({
      contents: `const all = require(${JSON.stringify(path)}); module.exports = all.default ?? all`,
      resolveDir: root,
    }))
  },
}

/** The program with one command, of which a process has this copy and no other: it imports nothing but Node and libraries. */
const commandAlone: Plugin = {
  name: 'command-alone',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^command:/ }, ({ path }) => ({
      path: path.slice('command:'.length),
      namespace: 'command',
    }))
    onLoad({ filter: /.*/, namespace: 'command' }, ({ path }) => ({
      contents: `
        import { ${path}Command } from './cli/commands/${path}.ts'
        import { main } from './cli/program.ts'
        void main({ ${path}: async () => ${path}Command() })`,
      loader: 'ts',
      resolveDir: root,
    }))
  },
}

const COMMON = {
  absWorkingDir: root,
  write: false,
  bundle: true,
  platform: 'node',
  target: 'node24',
  mainFields: ['module', 'main'],
  external: EXTERNAL,
  // Half of what others wrote is comments, which would be read at every start.
  minifyWhitespace: true,
  lineLimit: 160,
  legalComments: 'none',
  logLevel: 'warning',
} as const satisfies BuildOptions

/** One file that imports nothing but Node and libraries. */
const SCRIPT = {
  ...COMMON,
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
  define: { 'import.meta.url': '__url' },
  supported: { 'dynamic-import': false },
  banner: { js: SCRIPT_BANNER },
} as const satisfies BuildOptions

const results = await Promise.all([
  build({
    ...COMMON,
    entryPoints: ENTRY_POINTS,
    outbase: '.',
    outdir: dist,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    plugins: [leanHttp, lazyLists],
    banner: { js: BANNER },
    sourcemap: 'linked',
    sourcesContent: false,
  }),
  build({
    ...SCRIPT,
    entryPoints: COMMANDS.map((name) => ({ in: `command:${name}`, out: name })),
    outdir: join(dist, 'commands'),
    plugins: [leanHttp, librariesApart, commandAlone],
  }),
  build({
    ...SCRIPT,
    entryPoints: ['puller/worker.ts'],
    outbase: '.',
    outdir: dist,
    plugins: [leanHttp],
  }),
  build({
    ...COMMON,
    entryPoints: LIBRARIES.map((name) => ({ in: `library:${name}`, out: name })),
    outdir: join(dist, 'libraries'),
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    plugins: [leanHttp, lazyLists, libraryAlone],
  }),
]).catch(() => process.exit(1)) // It has told why.
const [shared, commands, worker, libraries] = results.map((result) => result.outputFiles)
const outputFiles = [
  ...(shared ?? []),
  ...(worker ?? []),
  ...(libraries ?? []),
  ...(await Promise.all((commands ?? []).map(startedCompiled))).flat(),
]
// An entry point names its chunks, never the other way round: whoever starts meanwhile sees the old program or the new.
for (const file of outputFiles.filter(isChunk)) publish(file)
for (const file of outputFiles.filter((file) => !isChunk(file))) publish(file)
publishIgnored()
removeStale(new Set(outputFiles.map((file) => file.path)))

/** A program of one command becomes a chunk, and what starts it by the code that cli/compiled.ts keeps takes its place. */
async function startedCompiled(program: OutputFile): Promise<readonly OutputFile[]> {
  const command = basename(program.path, '.cjs')
  const name = `${command}-${createHash('sha256').update(program.contents).digest('hex').slice(0, 16)}.cjs`
  const { outputFiles } = await build({
    ...COMMON,
    entryPoints: [{ in: 'cli/compiled.ts', out: command }],
    outdir: dirname(program.path),
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    define: { COMMAND: JSON.stringify(command), PROGRAM: JSON.stringify(name) },
  })
  return [{ ...program, path: join(dist, 'chunks', name) }, ...outputFiles]
}

function isChunk(file: OutputFile): boolean {
  return relative(dist, file.path).startsWith('chunks/')
}

function publish({ path, contents }: Pick<OutputFile, 'path' | 'contents'>): void {
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}.${process.pid}`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(temporary, contents)
  renameSync(temporary, path)
}

/** Has npm pack what this build made, and the types, but no chunk of an earlier one, nor what a build under way writes. */
function publishIgnored(): void {
  const packed = outputFiles.map((file) => `!/${relative(dist, file.path)}`)
  const lines = ['/*/*', '!/types/*', ...packed].map((line) => `${line}\n`)
  publish({ path: join(dist, '.npmignore'), contents: Buffer.from(lines.join('')) })
}

function removeStale(current: ReadonlySet<string>): void {
  for (const folder of new Set([...current].map(dirname))) {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name)
      if (!current.has(path) && isStale(path)) rmSync(path, { force: true })
    }
  }
}

/** At once where bin/dray would start a command that is no more; what else is there, a process may have yet to import. */
function isStale(path: string): boolean {
  if (basename(dirname(path)) === 'commands' && path.endsWith('.cjs')) return true
  const changedAt = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()
  return Date.now() - changedAt > STALE_AFTER_MS
}
