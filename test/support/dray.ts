import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

export const LAUNCHER = join(import.meta.dirname, '../../bin/dray')

export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs one command of the built program, as a user does. Never rejects: what came of it is the outcome. */
export function dray(
  args: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Outcome> {
  const env = { ...process.env, ...options.env }
  return new Promise((resolve) => {
    const child = execFile(
      LAUNCHER,
      [...args],
      { env, maxBuffer: 1 << 26, timeout: 300_000 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
        resolve({ code, stdout, stderr })
      },
    )
    child.stdin?.end()
  })
}

/** Starts a command and leaves it running. */
export function startDray(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  return spawn(LAUNCHER, [...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

export interface RunningRegistry {
  /** `127.0.0.1:<port>` */
  readonly host: string
  stop(): Promise<void>
}

/** Starts `dray serve` on a free port and waits until it says that it listens. */
export async function startRegistryProcess(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<RunningRegistry> {
  const child = startDray(['serve', '--listen', '127.0.0.1:0', ...args], env)
  const exited = once(child, 'exit')
  const host = await Promise.race([
    listeningOn(child.stderr),
    exited.then(() => {
      throw new Error('dray serve ended at once')
    }),
  ])
  child.stdout.resume()
  return {
    host,
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
  }
}

async function listeningOn(output: Readable): Promise<string> {
  let text = ''
  for await (const chunk of output) {
    text += chunk
    const host = /listening on http:\/\/([^\s,]+)/.exec(text)?.[1]
    if (host !== undefined) return host
  }
  throw new Error(`dray serve did not say where it listens: ${text}`)
}
