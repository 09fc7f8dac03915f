import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { DrayError, errorMessage, isErrno } from '#oci/error.ts'
import { isRepositoryName } from '#oci/reference.ts'
import type { Capability, RegistryHost, Wanted } from './registry-host.ts'
import { checkToml, invalidToml, readToml, type TomlFile } from './toml.ts'

const place = z
  .string()
  .regex(/^(?!.*:\/\/)[^\s/]/, 'write host[:port][/path], without a scheme')
  .regex(/^[^/]*(?:\/[^:@]*)?$/, 'name a repository at most, no tag and no digest')
  .transform((text) => text.replace(/\/+$/, ''))

const mirrorSchema = z.object({
  location: place,
  insecure: z.boolean().default(false),
  'pull-from-mirror': z.enum(['all', 'digest-only', 'tag-only', '']).default('all'),
})

const registrySchema = z.object({
  prefix: place.optional(),
  location: place.optional(),
  insecure: z.boolean().default(false),
  blocked: z.boolean().default(false),
  'mirror-by-digest-only': z.boolean().default(false),
  mirror: z.array(mirrorSchema).default([]),
})

const fileSchema = z.object({
  registry: z.array(registrySchema).default([]),
  /** Of version 1. */
  registries: z.never('this is the old format: write [[registry]] tables').optional(),
})

/** What is said of everything that begins with `prefix`. */
export interface RegistryEntry extends Omit<z.output<typeof registrySchema>, 'prefix'> {
  readonly prefix: string
  readonly file: TomlFile
  /** Its place among those of its file. */
  readonly place: number
}

/**
 * Reads podman's `registries.conf` and what is dropped in beside it (containers-registries.conf(5), version 2). Of two entries with
 * one prefix the later one counts.
 *
 * @param directories each `*.conf` in them is read after `files`, by name
 * @throws CONFIG_INVALID naming the file, the line and the key
 */
export async function readRegistriesConf(
  files: readonly string[],
  directories: readonly string[],
): Promise<readonly RegistryEntry[]> {
  const dropped = await Promise.all(directories.map(filesIn))
  const entries = new Map<string, RegistryEntry>()
  for (const path of [...files, ...dropped.flat()]) {
    const file = await readToml(path)
    for (const entry of file === undefined ? [] : entriesOf(file)) entries.set(entry.prefix, entry)
  }
  return [...entries.values()]
}

async function filesIn(directory: string): Promise<readonly string[]> {
  try {
    const names = (await readdir(directory)).filter((name) => name.endsWith('.conf')).sort()
    return names.map((name) => join(directory, name))
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) return []
    throw new DrayError('CONFIG_INVALID', `cannot read ${directory}: ${errorMessage(cause)}`, {
      cause,
    })
  }
}

function entriesOf(file: TomlFile): RegistryEntry[] {
  return checkToml(file, fileSchema).registry.map((registry, at) => {
    const prefix = registry.prefix ?? registry.location
    if (prefix === undefined) {
      throw invalidToml(file, ['registry', at], 'it needs a prefix or a location')
    }
    return { ...registry, prefix, file, place: at }
  })
}

/** The entry of the longest prefix that matches, with the length of what matched. */
export function entryFor(
  entries: readonly RegistryEntry[],
  name: string,
): { readonly entry: RegistryEntry; readonly length: number } | undefined {
  const matches = entries
    .map((entry) => ({ entry, length: matchLength(entry.prefix, name) }))
    .filter(({ length }) => length > 0)
  return matches.reduce<(typeof matches)[number] | undefined>(
    (best, each) => (best === undefined || each.length > best.length ? each : best),
    undefined,
  )
}

function matchLength(prefix: string, name: string): number {
  const suffix = prefix.startsWith('*.') ? prefix.slice(1) : undefined
  const start = suffix === undefined ? 0 : name.indexOf(suffix)
  const length = start + (suffix ?? prefix).length
  const isMatch =
    (suffix === undefined
      ? name.startsWith(prefix)
      : start > 0 && !/\//.test(name.slice(0, start))) &&
    (length === name.length || name[length] === '/')
  return isMatch ? length : 0
}

/**
 * The places of a repository, by the entry for it: mirrors, then its location. What is pushed goes to the registry as it is named.
 *
 * @throws DENIED when it is blocked; CONFIG_INVALID
 */
export function hostsOf(
  entry: RegistryEntry,
  length: number,
  wanted: Wanted,
  access: 'pull' | 'push',
): readonly RegistryHost[] {
  const name = nameOf(wanted)
  if (entry.blocked) {
    const { message } = invalidToml(entry.file, ['registry', entry.place, 'blocked'], 'true')
    throw new DrayError('DENIED', `${name} is blocked on this machine (${message})`)
  }
  const at = (location: string, insecure: boolean, capabilities: readonly Capability[]) =>
    hostAt(entry, location, { insecure, capabilities, isNamed: wanted.repository !== undefined })
  if (access === 'push') return [at(name, entry.insecure, ['pull', 'resolve', 'push'])]
  const rest = name.slice(length)
  const mirrors = entry.mirror.flatMap(({ location, insecure, 'pull-from-mirror': when }) => {
    const byDigestOnly = when === 'digest-only' || entry['mirror-by-digest-only']
    if (when === 'tag-only' && wanted.digest !== undefined) return []
    return [at(location + rest, insecure, byDigestOnly ? ['pull'] : ['pull', 'resolve'])]
  })
  const own = entry.location === undefined ? name : entry.location + rest
  return [...mirrors, at(own, entry.insecure, ['pull', 'resolve'])]
}

/** What prefixes are compared with. */
export function nameOf({ registry, repository }: Wanted): string {
  return repository === undefined ? registry : `${registry}/${repository}`
}

function hostAt(
  entry: RegistryEntry,
  location: string,
  host: Pick<RegistryHost, 'insecure' | 'capabilities'> & { readonly isNamed: boolean },
): RegistryHost {
  const { isNamed, ...rest } = host
  const slash = location.indexOf('/')
  const registry = slash < 0 ? location : location.slice(0, slash)
  const repository = slash < 0 ? '' : location.slice(slash + 1)
  if (isNamed && !isRepositoryName(repository)) {
    throw invalidToml(
      entry.file,
      ['registry', entry.place],
      `it makes ${location}, which is no name of a repository`,
    )
  }
  return { registry, repository: isRepositoryName(repository) ? repository : undefined, ...rest }
}
