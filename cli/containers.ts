import { existsSync } from 'node:fs'
import { DrayError, type ErrorCode, errorMessage, isDrayError } from '#oci/error.ts'
import type { Container } from '#runner/containers/state.ts'
import type { RunnerContext } from '#runner/context.ts'
import { readIdFile } from './cidfile.ts'
import { holdLayersOf, unmountUnusedLayers } from './layers.ts'
import { complain, print } from './output/print.ts'
import { asToldError } from './output/system-error.ts'
import { rootDir } from './root-dir.ts'
import { namespacePaths } from './rootless/namespace.ts'
import { programFor } from './self.ts'

/** What the runner must know of this program. */
export function runnerContext(options: {
  readonly root?: string
  readonly runtime?: string
}): RunnerContext {
  const root = rootDir(options.root)
  return {
    root,
    hostEnv: process.env,
    runtime: options.runtime,
    stateDir: stateDirOf(root),
    holdLayers: (lowerDirs) => holdLayersOf(root, lowerDirs),
    whenEnded: [...programFor('ended'), 'ended', '--root', root],
    checkHealth: [...programFor('healthcheck'), 'healthcheck', 'watch', '--root', root],
    onWarning: complain,
  }
}

/** In an ordinary user's namespaces there is a place for what lasts as long as they do. */
function stateDirOf(root: string): string | undefined {
  const { record, run } = namespacePaths(root)
  return existsSync(record) ? run : undefined
}

/** Finds a container by name, id or the beginning of its id. @throws CONTAINER_UNKNOWN */
export async function openContainer(root: string, reference: string): Promise<Container> {
  const { findContainer } = await import('#runner/containers/find.ts')
  return await findContainer(root, reference)
}

/** Which containers a verb is for. */
export interface Chosen {
  readonly all?: boolean | undefined
  /** Files of `run --cidfile`. */
  readonly cidfile?: readonly string[] | undefined
  /** Whether those that are not there are left out. */
  readonly ignore?: boolean | undefined
}

/** What `--all` means, and how to find it. */
const FILTERS = {
  'that run': [],
  'that run and are not paused': ['status=running'],
  'that are paused': ['status=paused'],
  'that there are': [],
} as const

/**
 * The containers that were named, also in files, or with `--all` the ids of those that run, or of all that there are.
 *
 * @throws USAGE for both, or none
 */
export async function namedOrAll(
  root: string,
  references: readonly string[],
  { all = false, cidfile = [], ignore = false }: Chosen,
  whichAll: keyof typeof FILTERS,
): Promise<readonly string[]> {
  if (all === references.length + cidfile.length > 0) {
    throw new DrayError('USAGE', `name containers, or say --all for all ${whichAll}`)
  }
  if (all) {
    const { listSeen } = await import('#runner/verbs/list.ts')
    const seen = await listSeen(root, {
      all: whichAll === 'that there are',
      filters: FILTERS[whichAll],
    })
    return seen.map(({ container }) => container.id)
  }
  const inFiles = await Promise.all(cidfile.map((path) => readIdFile(path, ignore)))
  const names = [...references, ...inFiles.filter((id) => id !== undefined)]
  if (!ignore) return names
  const there = await Promise.all(names.map((name) => isThere(root, name)))
  return names.filter((_, at) => there[at])
}

async function isThere(root: string, name: string): Promise<boolean> {
  return (await unlessGone('CONTAINER_UNKNOWN', () => openContainer(root, name))) !== undefined
}

/** Does the same to several containers at once and prints the name of each when it is done; the exit code tells of failures. */
export async function forEachContainer(
  root: string,
  references: readonly string[],
  work: (container: Container, reference: string) => Promise<void>,
): Promise<void> {
  await forEachName(references, async (reference) => {
    await work(await openContainer(root, reference), reference)
    return reference
  })
  await unmountUnusedLayers(root)
}

/**
 * Does something for several names at once, and prints what comes of each in their order. What fails is said, and doesn't stop the
 * others.
 */
export async function forEachName(
  names: readonly string[],
  work: (name: string, at: number) => Promise<string | undefined>,
): Promise<void> {
  const jobs = names.map(work)
  const all = Promise.allSettled(jobs)
  for (const job of jobs) {
    try {
      const line = await job
      if (line !== undefined) print(line)
    } catch (error) {
      const known = asToldError(error)
      if (known === undefined) {
        await all
        throw error
      }
      complain(errorMessage(known))
      process.exitCode = 1
    }
  }
}

/** What some work on a thing returns; undefined when `code` says that there is none, such as in a removal by --force. */
export async function unlessGone<T>(
  code: ErrorCode | undefined,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (code !== undefined && isDrayError(error, code)) return undefined
    throw error
  }
}
