import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { DrayError, errorMessage } from '#oci/error.ts'
import type { ContainerPaths } from '../../layout.ts'
import { findPrograms, killAndWait } from '../../processes.ts'
import { findRuntime } from '../../runtime.ts'
import { keepDescriptorsPrivate } from '../../sys.ts'
import type { PortMapping } from '../model.ts'
import {
  pastaArguments,
  slirpArguments,
  USER_MODE_PROGRAMS,
  type UserModeProgram,
  whyNoTun,
} from './programs.ts'
import { publishBySlirp } from './slirp.ts'

const run = promisify(execFile)

/** Where a program makes its socket, below the container's directory. */
const SOCKET = 'slirp.sock'
const PACKAGES = { pasta: 'passt', slirp4netns: 'slirp4netns' } as const

/** A network of one container alone, made by a program. */
export interface UserModeNetwork {
  readonly program: UserModeProgram
  readonly ports: readonly PortMapping[]
}

/**
 * Makes a network namespace for a container that is about to start, and has a program connect it with the host's network for as
 * long as the container runs. What was done is found again by {@link disconnectUserMode}, even when this is cut off.
 *
 * @returns where the namespace is
 * @throws NETWORK_FAILED
 */
export async function connectUserMode(
  paths: ContainerPaths,
  network: UserModeNetwork,
  searchPath: string | undefined,
): Promise<string> {
  const { program, ports } = network
  const found = findRuntime(program, searchPath)
  if (found === undefined) {
    const advice = `apt-get install ${PACKAGES[program]}, or use --network none or host`
    throw new DrayError('NETWORK_FAILED', `${program} is not installed: ${advice}`)
  }
  const { netns } = paths
  await writeFile(paths.userNetwork, JSON.stringify(network), { mode: 0o600 })
  await writeFile(netns, '', { mode: 0o600 })
  await run('unshare', [`--net=${netns}`, 'true']).catch((cause) => {
    throw new DrayError('NETWORK_FAILED', `no network namespace: ${errorMessage(cause)}`, { cause })
  })
  if (program === 'pasta') {
    await start(paths, found.path, pastaArguments(netns, ports), hasForked)
  } else {
    await start(paths, found.path, slirpArguments(netns, SOCKET), isReady)
    await publishBySlirp(paths.dir, SOCKET, ports)
  }
  return netns
}

/** Starts a program that stays when this one has ended, and waits until it is at work. */
async function start(
  paths: ContainerPaths,
  program: string,
  args: readonly string[],
  isAtWork: (child: ChildProcess, ready: Readable) => Promise<boolean>,
): Promise<void> {
  keepDescriptorsPrivate()
  const log = join(paths.dir, 'network.log')
  const errors = openSync(log, 'w', 0o600)
  try {
    const child = spawn(program, [...args], {
      cwd: paths.dir,
      detached: true,
      stdio: ['ignore', 'ignore', errors, 'pipe'],
    })
    const ready = child.stdio[3] as Readable
    const failed = once(child, 'error').then(([error]) => {
      throw error
    })
    const works = await Promise.race([isAtWork(child, ready), failed])
    ready.destroy()
    child.unref()
    if (!works) throw new Error(readFileSync(log, 'utf8').trim() || 'it ended without a word')
  } catch (cause) {
    const advice =
      whyNoTun() ?? 'Another network is one of --network pasta, slirp4netns, host and none'
    const message = `${program} cannot connect the container: ${errorMessage(cause)}. ${advice}`
    throw new DrayError('NETWORK_FAILED', message, { cause })
  } finally {
    closeSync(errors)
  }
}

/** It goes on in the background once all is set up. */
async function hasForked(child: ChildProcess): Promise<boolean> {
  const [code] = await once(child, 'exit')
  return code === 0
}

/** A byte comes when it is ready, and the end when it isn't and never will be. */
async function isReady(_: ChildProcess, ready: Readable): Promise<boolean> {
  for await (const _byte of ready) return true
  return false
}

/** Ends the program of a container, if it has one. Its namespace is unmounted with all that is mounted for the container. */
export async function disconnectUserMode({ netns, userNetwork }: ContainerPaths): Promise<void> {
  if (!existsSync(userNetwork)) return
  for (const pid of await findPrograms(USER_MODE_PROGRAMS, netns)) await killAndWait(pid)
  await rm(userNetwork, { force: true })
}
