import { readFile } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import * as z from 'zod'
import { errorMessage } from '#oci/error.ts'
import { type Certificates, trusted } from '../registry/certificates.ts'
import { secureOrigin } from '../registry/endpoint.ts'
import type { Capability, RegistryHost, Wanted } from './registry-host.ts'
import { checkToml, invalidToml, type Key, readToml, type TomlFile } from './toml.ts'

const ALL: readonly Capability[] = ['pull', 'resolve', 'push']

const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const

/** As Go writes them: `30s`, `1m30s`. */
const durationMs = z
  .string()
  .regex(/^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/, 'write a time, such as 30s')
  .transform((text) =>
    [...text.matchAll(/([\d.]+)(ms|s|m|h)/g)].reduce(
      (sum, [, number, unit]) => sum + Number(number) * UNITS_MS[unit as keyof typeof UNITS_MS],
      0,
    ),
  )

const settingsSchema = z.object({
  capabilities: z.array(z.enum(['pull', 'resolve', 'push', 'referrers'])).optional(),
  ca: z.union([z.string(), z.array(z.string())]).optional(),
  client: z
    .union([z.string(), z.array(z.union([z.string(), z.tuple([z.string(), z.string()])]))])
    .optional(),
  skip_verify: z.boolean().optional(),
  header: z.record(z.string(), z.union([z.string(), z.array(z.string())])).optional(),
  override_path: z.boolean().optional(),
  dial_timeout: durationMs.optional(),
})

const fileSchema = settingsSchema.extend({
  server: z.string().optional(),
  host: z.record(z.string(), settingsSchema).optional(),
})

type Settings = z.output<typeof settingsSchema>

/**
 * The places of a registry by containerd's `<dir>/<host[:port]>/hosts.toml`, of the first directory that has one: each `host` in
 * the order of the file, then `server`. A registry without a directory has that of `_default`.
 *
 * @throws CONFIG_INVALID naming the file, the line and the key
 */
export async function readHostsToml(
  directories: readonly string[],
  wanted: Wanted,
): Promise<readonly RegistryHost[] | undefined> {
  for (const directory of directories) {
    for (const name of directoryNames(wanted.registry)) {
      const dir = join(directory, name)
      const file = await readToml(join(dir, 'hosts.toml'))
      if (file !== undefined) return await hostsIn(file, dir, wanted)
    }
  }
  return undefined
}

function directoryNames(registry: string): readonly string[] {
  return [registry.replace(/:(\d+)$/, '_$1_'), registry, '_default']
}

async function hostsIn(file: TomlFile, dir: string, wanted: Wanted): Promise<RegistryHost[]> {
  const { host = {}, server, ...settings } = checkToml(file, fileSchema)
  const hosts: RegistryHost[] = []
  for (const [name, own] of Object.entries(host)) {
    hosts.push(await hostOf({ file, dir, wanted, path: ['host', name] }, name, own))
  }
  const origin = server || secureOrigin(wanted.registry).href
  const last = await hostOf({ file, dir, wanted, path: ['server'] }, origin, settings)
  // Where the registry isn't named, it is found as it is without a file.
  return [...hosts, server ? last : { ...last, registry: wanted.registry, api: undefined }]
}

interface Context {
  readonly file: TomlFile
  readonly dir: string
  readonly wanted: Wanted
  readonly path: readonly Key[]
}

async function hostOf(context: Context, name: string, settings: Settings): Promise<RegistryHost> {
  const { registry, repository } = context.wanted
  const url = urlOf(context, name)
  const capabilities = settings.capabilities?.filter((each) => each !== 'referrers')
  const headers = Object.entries(settings.header ?? {}).map(
    ([key, value]) => [key.toLowerCase(), [value].flat().join(', ')] as const,
  )
  return {
    registry: registryOf(url),
    repository,
    capabilities: settings.capabilities?.length ? (capabilities ?? []) : ALL,
    api: apiOf(url, settings.override_path === true),
    namespace: url.host === secureOrigin(registry).host ? undefined : registry,
    headers: headers.length === 0 ? undefined : Object.fromEntries(headers),
    certificates: await certificatesOf(context, settings),
    connectTimeoutMs: settings.dial_timeout,
  }
}

function urlOf({ file, path }: Context, name: string): URL {
  const text = name.includes('://') ? name : `https://${name}`
  if (URL.canParse(text) && /^https?:\/\/[^/]/i.test(text)) return new URL(text)
  throw invalidToml(file, path, `${JSON.stringify(name)} is no URL of a registry`)
}

/** As credentials know it. */
function registryOf({ host }: URL): string {
  return host === secureOrigin('docker.io').host ? 'docker.io' : host
}

function apiOf(url: URL, isWhole: boolean): URL {
  const path = url.pathname.replace(/\/+$/, '')
  return new URL(isWhole || path.endsWith('/v2') ? `${path}/` : `${path}/v2/`, url.origin)
}

async function certificatesOf(
  context: Context,
  { ca, client, skip_verify }: Settings,
): Promise<Certificates | undefined> {
  const read = (name: string, key: string) => readPem(context, name, key)
  const roots = ca === undefined ? [] : [ca].flat()
  const [pair] = client === undefined ? [] : typeof client === 'string' ? [client] : client
  const [cert, key = cert] = pair === undefined ? [] : [pair].flat()
  if (roots.length === 0 && cert === undefined && skip_verify === undefined) return undefined
  const added = await Promise.all(roots.map(async (name) => String(await read(name, 'ca'))))
  return {
    ...(added.length === 0 ? {} : { ca: [...(await trusted()), ...added] }),
    ...(cert === undefined || key === undefined
      ? {}
      : { cert: await read(cert, 'client'), key: await read(key, 'client') }),
    ...(skip_verify === true ? { rejectUnauthorized: false } : {}),
  }
}

async function readPem({ file, dir, path }: Context, name: string, key: string): Promise<Buffer> {
  try {
    return await readFile(isAbsolute(name) ? name : join(dir, name))
  } catch (error) {
    const at = path[0] === 'server' ? [key] : [...path, key]
    throw invalidToml(file, at, errorMessage(error))
  }
}
