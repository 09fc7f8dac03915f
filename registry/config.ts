import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { DrayError } from '#oci/error.ts'
import { parseJson } from '#oci/json.ts'
import { check } from '#oci/schema.ts'
import { areWarnings } from './http/warnings.ts'
import { type AuthConfig, authSchema, parseAuth } from './auth/config.ts'
import { checkExposure } from './exposure.ts'
import type { MissingReferences } from './services/manifests.ts'
import type { ImmutableTags } from './services/tag-rules.ts'
import { suitableWorkers } from './workers/count.ts'

/** Where a registry listens, keeps its content, and how long it waits. Complete and frozen. */
export interface RegistryConfig {
  readonly listen: ListenAddress
  /** Used unless `s3` is given. */
  readonly dataDir: string
  readonly s3?: S3Config | undefined
  readonly stallTimeoutMs: number
  readonly uploadTtlMs: number
  readonly shutdownTimeoutMs: number
  readonly missingReferences: MissingReferences
  readonly readOnly: boolean
  readonly immutableTags: ImmutableTags
  readonly warnings: readonly string[]
  /** Processes that serve. */
  readonly workers: number
  /** Who may do what; without it everybody may do everything. */
  readonly auth?: AuthConfig | undefined
  /** Whether others may reach a registry without `auth`. */
  readonly openToAnyone: boolean
  /** Whether others may reach a registry without TLS. */
  readonly plainHttp: boolean
}

export interface ListenAddress {
  /** A host name or address, without brackets. */
  readonly host: string
  /** 0 for one that is free. */
  readonly port: number
}

export interface S3Config {
  readonly bucket: string
  readonly endpoint?: string | undefined
  readonly region: string
  readonly pathStyle: boolean
  readonly prefix: string
}

/** A document of the form of the config file, every key optional; flags of the command line come as one, too. */
export type ConfigDocument = z.input<typeof documentSchema>

export interface ConfigSources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Text of the config file. */
  readonly file?: Uint8Array | undefined
  readonly flags?: ConfigDocument | undefined
}

const MINUTE_MS = 60_000
const FILE_LIMIT = 1024 * 1024

const duration = z
  .int()
  .min(1)
  .max(2 ** 31 - 1) // the longest timer of Node

const pattern = z.string().min(1).max(255)

const documentSchema = z.strictObject({
  listen: z.string().optional(),
  dataDir: z.string().min(1).optional(),
  s3: z
    .strictObject({
      bucket: z.string().min(1).optional(),
      endpoint: z.url({ protocol: /^https?$/ }).optional(),
      region: z.string().min(1).optional(),
      pathStyle: z.boolean().optional(),
      prefix: z
        .string()
        .regex(/^(?:[A-Za-z0-9._-]+\/)*$/, 'must be empty, or path components that each end in /')
        .optional(),
    })
    .optional(),
  stallTimeoutMs: duration.optional(),
  uploadTtlMs: duration.optional(),
  shutdownTimeoutMs: duration.optional(),
  missingReferences: z.enum(['refuse', 'allow']).optional(),
  readOnly: z.boolean().optional(),
  immutableTags: z.record(pattern, z.array(pattern)).optional(),
  warnings: z
    .array(z.string())
    .refine(areWarnings, 'must be of visible ASCII, and 4096 bytes long at most with their framing')
    .optional(),
  workers: z.int().min(1).max(1024).optional(),
  auth: authSchema.optional(),
  openToAnyone: z.boolean().optional(),
  plainHttp: z.boolean().optional(),
})

/** The environment variable of every key of the config file. */
export const CONFIG_VARIABLES: Readonly<Record<string, string>> = {
  listen: 'DRAY_LISTEN',
  dataDir: 'DRAY_DATA_DIR',
  's3.bucket': 'DRAY_S3_BUCKET',
  's3.endpoint': 'DRAY_S3_ENDPOINT',
  's3.region': 'DRAY_S3_REGION',
  's3.pathStyle': 'DRAY_S3_PATH_STYLE',
  's3.prefix': 'DRAY_S3_PREFIX',
  stallTimeoutMs: 'DRAY_STALL_TIMEOUT_MS',
  uploadTtlMs: 'DRAY_UPLOAD_TTL_MS',
  shutdownTimeoutMs: 'DRAY_SHUTDOWN_TIMEOUT_MS',
  missingReferences: 'DRAY_MISSING_REFERENCES',
  readOnly: 'DRAY_READ_ONLY',
  immutableTags: 'DRAY_IMMUTABLE_TAGS',
  warnings: 'DRAY_WARNINGS',
  workers: 'DRAY_WORKERS',
  auth: 'DRAY_AUTH',
  openToAnyone: 'DRAY_OPEN_TO_ANYONE',
  plainHttp: 'DRAY_PLAIN_HTTP',
}

/** What holds for a key that no source names. Keys that aren't here have none; without `s3.bucket` there is no `s3` at all. */
export const CONFIG_DEFAULTS = {
  listen: '127.0.0.1:5000',
  dataDir: '/var/lib/dray/registry',
  's3.region': 'us-east-1',
  's3.pathStyle': false,
  's3.prefix': '',
  stallTimeoutMs: MINUTE_MS,
  uploadTtlMs: 24 * 60 * MINUTE_MS,
  shutdownTimeoutMs: 30_000,
  missingReferences: 'refuse',
  readOnly: false,
  openToAnyone: false,
  plainHttp: false,
} as const

/**
 * The configuration that flags, environment, file and defaults make, each overruling those named after it. A variable
 * that is empty counts as absent.
 *
 * @throws CONFIG_INVALID naming the key or variable
 */
export function parseConfig({ env, file, flags }: ConfigSources): RegistryConfig {
  const layers = [file === undefined ? {} : parseDocument(file), fromEnvironment(env), flags ?? {}]
  const documents = layers.map((layer) =>
    check(documentSchema, layer, 'configuration', 'CONFIG_INVALID'),
  )
  const s3 = Object.assign({}, ...documents.map((document) => defined(document.s3 ?? {})))
  const merged: ConfigDocument = Object.assign({}, ...documents.map(defined), { s3 })
  const { bucket, endpoint } = merged.s3 ?? {}
  if (bucket === undefined && Object.keys(s3).length > 0) {
    throw new DrayError('CONFIG_INVALID', 's3.bucket is missing: other keys of s3 are set')
  }
  const config: RegistryConfig = {
    listen: parseListen(merged.listen ?? CONFIG_DEFAULTS.listen),
    dataDir: merged.dataDir ?? CONFIG_DEFAULTS.dataDir,
    stallTimeoutMs: merged.stallTimeoutMs ?? CONFIG_DEFAULTS.stallTimeoutMs,
    uploadTtlMs: merged.uploadTtlMs ?? CONFIG_DEFAULTS.uploadTtlMs,
    shutdownTimeoutMs: merged.shutdownTimeoutMs ?? CONFIG_DEFAULTS.shutdownTimeoutMs,
    missingReferences: merged.missingReferences ?? CONFIG_DEFAULTS.missingReferences,
    readOnly: merged.readOnly ?? CONFIG_DEFAULTS.readOnly,
    immutableTags: merged.immutableTags ?? {},
    warnings: merged.warnings ?? [],
    workers: merged.workers ?? suitableWorkers(),
    auth: merged.auth === undefined ? undefined : parseAuth(merged.auth),
    openToAnyone: merged.openToAnyone ?? CONFIG_DEFAULTS.openToAnyone,
    plainHttp: merged.plainHttp ?? CONFIG_DEFAULTS.plainHttp,
    s3:
      bucket === undefined
        ? undefined
        : Object.freeze({
            bucket,
            endpoint,
            region: merged.s3?.region ?? CONFIG_DEFAULTS['s3.region'],
            pathStyle: merged.s3?.pathStyle ?? CONFIG_DEFAULTS['s3.pathStyle'],
            prefix: merged.s3?.prefix ?? CONFIG_DEFAULTS['s3.prefix'],
          }),
  }
  checkExposure(config)
  return Object.freeze(config)
}

/** `parseConfig` on the file at `path`, or at `DRAY_CONFIG`, if either is given. @throws CONFIG_INVALID */
export function loadConfig(
  sources: Omit<ConfigSources, 'file'> & { readonly path?: string | undefined },
): RegistryConfig {
  const path = sources.path ?? (sources.env.DRAY_CONFIG || undefined)
  if (path === undefined) return parseConfig(sources)
  try {
    return parseConfig({ ...sources, file: readFileSync(path) })
  } catch (error) {
    const { message } = error as Error
    throw new DrayError('CONFIG_INVALID', `cannot use config file ${path}: ${message}`, {
      cause: error,
    })
  }
}

function parseDocument(bytes: Uint8Array): unknown {
  return parseJson(bytes, { code: 'CONFIG_INVALID', maxBytes: FILE_LIMIT })
}

function fromEnvironment(env: ConfigSources['env']): unknown {
  const document: Record<string, unknown> = {}
  const s3: Record<string, unknown> = {}
  for (const [key, variable] of Object.entries(CONFIG_VARIABLES)) {
    const text = env[variable]
    if (text === undefined || text === '') continue
    const value = parseVariable(key, variable, text)
    if (key.startsWith('s3.')) s3[key.slice('s3.'.length)] = value
    else document[key] = value
  }
  return { ...document, s3 }
}

function parseVariable(key: string, variable: string, text: string): unknown {
  if (key.endsWith('Ms') || key === 'workers') {
    if (/^[0-9]{1,15}$/.test(text)) return Number(text)
    throw new DrayError('CONFIG_INVALID', `${variable} must be a whole number`)
  }
  if (['s3.pathStyle', 'readOnly', 'openToAnyone', 'plainHttp'].includes(key)) {
    if (text === 'true' || text === 'false') return text === 'true'
    throw new DrayError('CONFIG_INVALID', `${variable} must be true or false`)
  }
  if (['immutableTags', 'warnings', 'auth'].includes(key)) return parseDocument(Buffer.from(text))
  return text
}

function defined<T extends object>(document: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(document).filter(([, value]) => value !== undefined),
  ) as Partial<T>
}

function parseListen(text: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):([0-9]{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port > 65_535) {
    throw new DrayError(
      'CONFIG_INVALID',
      `listen must be host:port, such as 127.0.0.1:5000 or [::]:5000, not ${JSON.stringify(text)}`,
    )
  }
  return Object.freeze({ host, port })
}
