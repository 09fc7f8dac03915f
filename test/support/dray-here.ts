import { AsyncLocalStorage } from 'node:async_hooks'
import { join } from 'node:path'
import { COMMANDS } from '#cli/commands/index.ts'
import { run } from '#cli/program.ts'
import type { Outcome } from './dray.ts'

const STREAMS = ['stdout', 'stderr'] as const
/** What monitors are told to run when a container ends: the program as users have it. */
const PROGRAM = join(import.meta.dirname, '../../dist/cli/main.js')

type Said = Record<(typeof STREAMS)[number], string>

/** What the command says to whom this belongs; everything else that this process says goes where it went. */
const said = new AsyncLocalStorage<Said>()
let last: Promise<unknown> = Promise.resolve()

for (const name of STREAMS) {
  const stream = process[name]
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean
  stream.write = (chunk: unknown, ...rest: unknown[]) => {
    const texts = said.getStore()
    if (texts === undefined) return write(chunk, ...rest)
    texts[name] += String(chunk)
    const done = rest.find((arg) => typeof arg === 'function')
    if (done !== undefined) process.nextTick(done)
    return true
  }
  stream.setMaxListeners(0) // each command waits for its reader to go away
}

/**
 * Runs one command in this process, for what it prints and its exit code: a process of its own takes some 200 ms of a CPU, nearly all
 * of them to start. One at a time, since there is one exit code. Not for what hands this process's standard streams to a container.
 */
export function drayHere(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const outcome = last.then(() => runAlone(args, env))
  last = outcome.catch(() => undefined)
  return outcome
}

async function runAlone(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
  const texts: Said = { stdout: '', stderr: '' }
  const { exitCode } = process
  const [, script = ''] = process.argv
  const before = Object.keys(env).map((name) => [name, process.env[name]] as const)
  for (const [name, value] of Object.entries(env)) setVariable(name, value)
  process.exitCode = undefined
  process.argv[1] = PROGRAM
  try {
    await said.run(texts, () => run(['node', 'dray', ...args], COMMANDS))
    return { ...texts, code: Number(process.exitCode ?? 0) }
  } finally {
    for (const [name, value] of before) setVariable(name, value)
    process.exitCode = exitCode
    process.argv[1] = script
  }
}

function setVariable(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name]
  else process.env[name] = value
}

/** Commands that give their standard streams to nobody, and that end without another one. */
const HERE = new Set([
  ...[
    'commit',
    'create',
    'diff',
    'history',
    'images',
    'import',
    'inspect',
    'kill',
    'network',
    'pause',
    'port',
  ],
  ...['ps', 'rename', 'restart', 'rm', 'rmi', 'stop', 'tag', 'top', 'unpause', 'update', 'volume'],
])

/** Whether {@link drayHere} shows all that a process of its own would. */
export function canRunHere([verb = '', ...rest]: readonly string[]): boolean {
  const has = (...flags: readonly string[]) => flags.some((flag) => rest.includes(flag))
  if (verb === 'run') return rest[0] === '-d'
  if (verb === 'logs') return !has('-f', '--follow')
  if (verb === 'start') return !has('-a', '-i', '-ai')
  if (verb === 'cp') return !has('-')
  return HERE.has(verb)
}
