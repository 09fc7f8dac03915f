import * as z from 'zod'
import { digestSchema } from './descriptor.ts'
import type { Digest } from './digest.ts'
import { parseJson } from './json.ts'
import { absentable, check, listOf, stringMap, strings } from './schema.ts'

/** Largest image config that is read, in bytes; the same bound as for manifests. */
export const IMAGE_CONFIG_LIMIT = 4 * 1024 * 1024

/** How a container of the image is run by default (image-spec, config.md "config"). */
export interface ExecutionConfig {
  readonly User?: string | undefined
  readonly ExposedPorts?: Readonly<Record<string, unknown>> | undefined
  readonly Env?: readonly string[] | undefined
  readonly Entrypoint?: readonly string[] | undefined
  readonly Cmd?: readonly string[] | undefined
  readonly Volumes?: Readonly<Record<string, unknown>> | undefined
  readonly WorkingDir?: string | undefined
  readonly Labels?: Readonly<Record<string, string>> | undefined
  readonly StopSignal?: string | undefined
  /** docker's, as is the next one: how lines of a shell are run. */
  readonly Shell?: readonly string[] | undefined
  readonly Healthcheck?: Healthcheck | undefined
}

/** How to find out whether a container is well, in docker's words. Absent or 0: docker's default. */
export interface Healthcheck {
  /** `['NONE']`, `['CMD', PROGRAM, ...]` or `['CMD-SHELL', LINE]`. */
  readonly Test?: readonly string[] | undefined
  /** Durations are nanoseconds. */
  readonly Interval?: number | undefined
  readonly Timeout?: number | undefined
  readonly StartPeriod?: number | undefined
  readonly StartInterval?: number | undefined
  readonly Retries?: number | undefined
}

export interface History {
  readonly created?: string | undefined
  readonly created_by?: string | undefined
  readonly author?: string | undefined
  readonly comment?: string | undefined
  readonly empty_layer?: boolean | undefined
}

/** The config of an image: how to run it, and the diffIDs that its layers must have (image-spec, config.md). */
export interface ImageConfig {
  readonly created?: string | undefined
  readonly author?: string | undefined
  readonly architecture: string
  readonly os: string
  readonly variant?: string | undefined
  readonly config?: ExecutionConfig | undefined
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly Digest[] }
  readonly history?: readonly History[] | undefined
}

const keySet = absentable(z.record(z.string(), z.unknown()))
const text = absentable(z.string())

/** Docker once wrote a command as one string; it means one word. */
const command = absentable(
  z.union([z.string().transform((word) => (word === '' ? [] : [word])), listOf(z.string())]),
)

const number = absentable(z.number())

const healthSchema = z.object({
  Test: strings,
  Interval: number,
  Timeout: number,
  StartPeriod: number,
  StartInterval: number,
  Retries: number,
})

const executionSchema = z.object({
  User: text,
  ExposedPorts: keySet,
  Env: strings,
  Entrypoint: command,
  Cmd: command,
  Volumes: keySet,
  WorkingDir: text,
  Labels: stringMap,
  StopSignal: text,
  Shell: strings,
  Healthcheck: absentable(healthSchema),
})

const historySchema = z.object({
  created: text,
  created_by: text,
  author: text,
  comment: text,
  empty_layer: absentable(z.boolean()),
})

const imageConfigSchema = z.object({
  created: text,
  author: text,
  architecture: z.string(),
  os: z.string(),
  variant: text,
  config: absentable(executionSchema),
  rootfs: z.object({
    type: z.literal('layers', 'rootfs.type must be "layers"'),
    diff_ids: absentable(listOf(digestSchema)).transform((ids) => ids ?? []),
  }),
  history: absentable(listOf(historySchema)),
})

/** Reads an image config of OCI or Docker. @throws IMAGE_CONFIG_INVALID */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const value = parseJson(bytes, { code: 'IMAGE_CONFIG_INVALID', maxBytes: IMAGE_CONFIG_LIMIT })
  return check(imageConfigSchema, value, 'image config', 'IMAGE_CONFIG_INVALID')
}
