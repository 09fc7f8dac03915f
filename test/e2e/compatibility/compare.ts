import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { makeBusyboxTree } from '../../runner/support/busybox.ts'
import { LAUNCHER, type Outcome } from '../../support/dray.ts'
import { canRunHere, drayHere } from '../../support/dray-here.ts'
import { type Cases, partOf } from './cases.ts'

interface Tool {
  readonly name: string
  readonly program: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
}

interface Seen {
  readonly step: string
  readonly exitCode: number
  readonly output: string
}

const dir = mkdtempSync(join(tmpdir(), 'dray-compat-'))
const files = join(dir, 'files')
const IMAGE = 'localhost/compat:1'
const CASE_MS = 180_000
const AREA_MS = 900_000

const DRAY: Tool = {
  name: 'dray',
  program: LAUNCHER,
  args: [],
  env: { ...process.env, DRAY_ROOT: join(dir, 'store'), FROM_HOST: 'here' },
}
const PODMAN: Tool = {
  name: 'podman',
  program: 'podman',
  args: [
    ...['--root', join(dir, 'podman'), '--runroot', join(dir, 'podman-run'), '--runtime', 'runc'],
    ...['--cgroup-manager', 'cgroupfs', '--log-level', 'error', '--events-backend', 'file'],
  ],
  env: {
    ...process.env,
    FROM_HOST: 'here',
    CONTAINERS_CONF: join(dir, 'containers.conf'),
  },
}

/** What starts a container that cases of an area look at or add to, where they don't say it. */
const RESIDENT = 'run -d --name R --network none I sleep 3210'
/** All that starts such containers: each has a number in its name, the same for both tools. */
const starts: string[] = []
/** By tool and start: the name of one that was started. */
const residents = new Map<string, Promise<string>>()

/** By tool and step: what came of what runs once for many cases. */
const shared = new Map<string, Promise<Outcome>>()

/**
 * Tests what docker and podman taught people to expect: each case is run by Dray and by podman with the same arguments, and must
 * print and end the same. What differs on purpose is in docs/compatibility.md, and not in a case.
 */
export function compareWithPodman(areas: Cases): void {
  before(prepare)
  after(cleanUp)
  let next = 0
  for (const [area, cases] of Object.entries(areas)) {
    describe(area, { concurrency: 2, timeout: AREA_MS }, () => {
      after(removeContainers)
      for (const [title, script] of cases) {
        it(title, { timeout: CASE_MS }, async () => {
          // podman's networks are those of the host: an earlier run may have left some. No name is the beginning of another.
          const name = `case${process.pid}x${100 + next++}`
          const [ours, theirs] = await Promise.all([
            play(DRAY, script, name),
            play(PODMAN, script, name),
          ])
          assert.deepEqual(ours, theirs)
        })
      }
    })
  }
}

async function prepare(): Promise<void> {
  mkdirSync(files)
  // podman's own limit of open files is above what a machine may allow.
  const limits = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
  writeFileSync(join(dir, 'containers.conf'), limits)
  writeFileSync(join(files, 'text'), 'text of the host\n')
  writeFileSync(join(files, 'env'), '# a comment\nFILE=from a file\nFROM_HOST\n\nEMPTY=\n')
  const tree = makeBusyboxTree(join(dir, 'tree'))
  const tar = join(dir, 'tree.tar')
  await call({ ...DRAY, program: 'tar', args: [] }, ['-C', tree, '-cf', tar, '.'])
  const config = ['--cmd', '["echo","from the image"]', '--env', 'IMAGE=set', '--workdir', '/tmp']
  const imported = await call(DRAY, ['import', tree, IMAGE, ...config, '--label', 'of=image'])
  assert.equal(imported.code, 0, imported.stderr)
  const changes = [
    'CMD ["echo","from the image"]',
    'ENV IMAGE=set',
    'WORKDIR /tmp',
    'LABEL of=image',
  ]
  const flags = changes.flatMap((change) => ['--change', change])
  const loaded = await call(PODMAN, ['import', '-q', ...flags, tar, IMAGE])
  assert.equal(loaded.code, 0, loaded.stderr)
}

/** Once for many cases: each start of a program takes a good part of a second of a CPU. */
async function removeContainers(): Promise<void> {
  residents.clear()
  const ids = (await call(DRAY, ['ps', '-aq'])).stdout.split('\n').filter(Boolean)
  if (ids.length > 0) await call(DRAY, ['rm', '-f', ...ids])
  await call(PODMAN, ['rm', '-fa', '-t', '0'])
}

async function cleanUp(): Promise<void> {
  await removeContainers()
  await call(DRAY, ['network', 'prune'])
  for (let attempt = 0; ; attempt++) {
    await detachStore()
    try {
      return rmSync(dir, { recursive: true, force: true })
    } catch (error) {
      // What podman runs after a container may be at work here.
      if (attempt === 100) throw error
      await delay(200)
    }
  }
}

/** podman keeps its store mounted on itself, twice when two of it began at once. */
async function detachStore(): Promise<void> {
  const umount = { ...PODMAN, program: 'umount', args: [] }
  while ((await call(umount, ['-l', join(dir, 'podman/overlay')])).code === 0);
}

/**
 * Runs the steps of a script, one a line. `I` is the image, `N` and `M` are names of its own, `R` is a container that has been started
 * for other cases as well, by a first step that begins with `=` where it has to be another one, `F` a directory of the host.
 * Of a step that begins with `~` only the exit code counts, with `?` only whether it succeeded; `!` runs a step that doesn't count at all,
 * and `*` repeats one until it succeeds. `@` and a number is the script of that number in a step that many cases have, see `together`.
 */
async function play(tool: Tool, script: string, name: string): Promise<Seen[]> {
  const seen: Seen[] = []
  const [, start = RESIDENT, steps = ''] = /^(?:=([^\n]*)\n)?(.*)$/s.exec(script) ?? []
  const running = /\bR\b/.test(script) ? await resident(tool, start) : ''
  for (const line of steps.split('\n')) {
    const [, mark = '', step = ''] = /^\s*([~!?*]|@\d+|)\s*(.*)$/.exec(line) ?? []
    const words = wordsOf(step, name, running)
    const isPart = mark.startsWith('@')
    const { code, stdout, stderr } = await (mark === '*'
      ? succeed(tool, words)
      : isPart
        ? share(tool, words, step, Number(mark.slice(1)))
        : call(tool, words))
    // A runtime's own words differ from version to version; that something was said doesn't.
    const output = mark === '' || isPart ? stdout : mark
    const exitCode = mark === '?' ? Math.min(code, 1) : code
    if (mark !== '!') seen.push({ step, exitCode, output })
    if (code >= 125 && stderr === '') assert.fail(`${tool.name} ${step}: ${code} without a word`)
  }
  return seen
}

/** Starts it for the first who asks. @returns its name */
function resident(tool: Tool, start: string): Promise<string> {
  const key = `${tool.name} ${start}`
  const running = residents.get(key) ?? startResident(tool, start)
  residents.set(key, running)
  return running
}

async function startResident(tool: Tool, start: string): Promise<string> {
  if (!starts.includes(start)) starts.push(start)
  const name = `case${process.pid}r${100 + starts.indexOf(start)}`
  const { code, stderr } = await call(tool, wordsOf(start, '', name))
  assert.equal(code, 0, `${tool.name}: ${stderr}`)
  return name
}

/** Runs a step for the first who asks. @returns what came of one of its scripts */
async function share(
  tool: Tool,
  words: readonly string[],
  step: string,
  at: number,
): Promise<Outcome> {
  const key = `${tool.name} ${step}`
  const running = shared.get(key) ?? call(tool, words)
  shared.set(key, running)
  const { stdout, stderr } = await running
  const part = partOf(stdout, at)
  assert.ok(part !== undefined, `${key}: ${stdout}${stderr}`)
  return { ...part, stderr }
}

function call(tool: Tool, words: readonly string[]): Promise<Outcome> {
  // Here, nobody waits for what a later command ends.
  if (tool === DRAY && (canRunHere(words) || words[0] === 'wait')) return drayHere(words, tool.env)
  return new Promise((resolve) => {
    const child = execFile(
      tool.program,
      [...tool.args, ...words],
      // podman's monitor notes where it works that memory ran out.
      { cwd: dir, env: tool.env, timeout: 120_000 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
        resolve({ code, stdout, stderr })
      },
    )
    // Most programs end without having read it.
    child.stdin?.on('error', () => {})
    child.stdin?.end('given\n')
  })
}

async function succeed(tool: Tool, words: readonly string[]): Promise<Outcome> {
  for (let attempt = 0; ; attempt++) {
    const outcome = await call(tool, words)
    if (outcome.code === 0 || attempt === 100) return outcome
    await delay(100)
  }
}

/** What a step passes to a tool, with the names of a case and of the container that it shares. */
function wordsOf(step: string, name: string, running: string): string[] {
  return splitWords(step).map((word) =>
    word
      .replace(/^I$/, IMAGE)
      .replace(/\bN\b/g, name)
      .replace(/\bM\b/g, `${name}b`)
      .replace(/\bR\b/g, running)
      .replace(/\bF\b/g, files),
  )
}

/** Words as a shell splits them: single and double quotes, no expansion. */
function splitWords(line: string): string[] {
  return [...line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"]+)+/g)].map(([word]) =>
    word.replace(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double),
  )
}
