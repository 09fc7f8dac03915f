import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A registry that runs for a benchmark, with its content below `dir`. */
export interface RunningRegistry {
  readonly name: string
  readonly port: number
  readonly pid: number
  readonly dir: string
  stop(): Promise<void>
}

export interface DrayOptions {
  readonly dir: string
  readonly args?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

const DRAY = join(import.meta.dirname, '../../bin/dray')
const START_TIMEOUT_MS = 30_000

/** Dray from its built form, as users start it, with its access log on. */
export async function startDray({
  dir,
  args = [],
  env = {},
}: DrayOptions): Promise<RunningRegistry> {
  mkdirSync(dir, { recursive: true })
  const port = await freePort()
  const command = [DRAY, 'serve', '--listen', `127.0.0.1:${port}`, '--data', dir, ...args]
  return await started('dray', command, { dir, port, env })
}

/** Debian's docker-registry with Debian's configuration, but without passwords, and on loopback. */
export async function startDockerRegistry(dir: string): Promise<RunningRegistry> {
  mkdirSync(dir, { recursive: true })
  const port = await freePort()
  const config = {
    version: 0.1,
    log: { fields: { service: 'registry' } },
    storage: {
      cache: { blobdescriptor: 'inmemory' },
      filesystem: { rootdirectory: dir },
      delete: { enabled: true },
    },
    http: { addr: `127.0.0.1:${port}`, headers: { 'X-Content-Type-Options': ['nosniff'] } },
    health: { storagedriver: { enabled: true, interval: '10s', threshold: 3 } },
  }
  // JSON is YAML.
  const path = join(dir, 'config.yml')
  writeFileSync(path, JSON.stringify(config))
  return await started('docker-registry', ['docker-registry', 'serve', path], {
    dir,
    port,
    env: {},
  })
}

async function started(
  name: string,
  [program = '', ...args]: readonly string[],
  { dir, port, env }: { dir: string; port: number; env: NodeJS.ProcessEnv },
): Promise<RunningRegistry> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'ignore'],
    env: { ...process.env, ...env },
  })
  await answers(child, port, name)
  return {
    name,
    port,
    pid: child.pid ?? 0,
    dir,
    async stop() {
      if (child.exitCode === null) {
        child.kill()
        await once(child, 'exit')
      }
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

async function answers(child: ChildProcess, port: number, name: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS
  for (;;) {
    const isUp = await fetch(`http://127.0.0.1:${port}/v2/`).then(
      ({ status }) => status === 200 || status === 401,
      () => false,
    )
    if (isUp) return
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`${name} did not start`)
    await sleep(50)
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
