import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

/** A daemon of a container engine, with its whole state in one directory. */
export interface Daemon {
  readonly socket: string
  stop(): Promise<void>
}

type Command = readonly [string, ...string[]]

const START_TIMEOUT_MS = 30_000
const run = promisify(execFile)

/** A dockerd that touches no network of the host. `dir` must be short: sockets are in it. The driver `vfs` works on every disk. */
export async function startDockerd(dir: string, { storageDriver = 'vfs' } = {}): Promise<Daemon> {
  const socket = join(dir, 'docker.sock')
  await mkdir(dir, { recursive: true })
  const config = join(dir, 'daemon.json')
  writeFileSync(config, '{}')
  const args = [
    ...['--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec')],
    ...['--pidfile', join(dir, 'docker.pid'), '--host', `unix://${socket}`],
    ...['--config-file', config],
    ...[
      '--bridge',
      'none',
      '--iptables=false',
      '--ip6tables=false',
      '--storage-driver',
      storageDriver,
    ],
  ]
  return startDaemon(dir, ['dockerd', ...args], socket, [
    'docker',
    '-H',
    `unix://${socket}`,
    'version',
  ])
}

/** A containerd without the plugin for Kubernetes. */
export async function startContainerd(dir: string): Promise<Daemon> {
  const socket = join(dir, 'containerd.sock')
  await mkdir(dir, { recursive: true })
  const config = join(dir, 'config.toml')
  writeFileSync(
    config,
    `version = 2
root = "${join(dir, 'root')}"
state = "${join(dir, 'state')}"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "${socket}"
[ttrpc]
address = "${socket}.ttrpc"
`,
  )
  const probe: Command = ['ctr', '--address', socket, 'version']
  return startDaemon(dir, ['containerd', '--config', config], socket, probe)
}

async function startDaemon(
  dir: string,
  [program, ...args]: Command,
  socket: string,
  [probe, ...probeArgs]: Command,
): Promise<Daemon> {
  const log = join(dir, 'log')
  const output = openSync(log, 'w')
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
  const child = spawn(program, args, { env, stdio: ['ignore', output, output] })
  const stop = () => end(child)
  const deadline = Date.now() + START_TIMEOUT_MS
  for (;;) {
    try {
      await run(probe, probeArgs)
      return { socket, stop }
    } catch {
      if (child.exitCode === null && Date.now() < deadline) {
        await sleep(100)
        continue
      }
      await stop()
      throw new Error(`${program} did not start:\n${readFileSync(log, 'utf8').slice(-2000)}`)
    }
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}
