import * as z from 'zod'
import { DrayError, errorMessage } from '#oci/error.ts'
import { parseJson } from '#oci/json.ts'
import { absentable, check, listOf, stringMap, strings } from '#oci/schema.ts'
import { CLASS, NAME, VENDOR } from './names.ts'

/** What devices of a vendor need of a container (CDI specification). */
export type CdiSpec = z.output<typeof specSchema>

/** Changes of a container's spec. */
export type CdiEdits = z.output<typeof editsSchema>

export type CdiNode = z.output<typeof nodeSchema>
export type CdiMount = z.output<typeof mountSchema>

const VERSIONS = '0.1.0 0.2.0 0.3.0 0.4.0 0.5.0 0.6.0 0.7.0 0.8.0 1.0.0 1.1.0'.split(' ')
const LIMIT = 4 * 1024 * 1024

const KIND = new RegExp(`^${VENDOR}/${CLASS}$`)

/** Where a hook runs, by the names of the runtime spec. */
const HOOKS = [
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
  'poststop',
] as const

const absolute = z.string().startsWith('/', 'expected an absolute path')
const id = z
  .number()
  .int()
  .min(0)
  .max(2 ** 32 - 1)
const variables = absentable(listOf(z.string().regex(/^[^=\0]+=[^\0]*$/, 'expected NAME=VALUE')))

const nodeSchema = z.strictObject({
  path: absolute,
  hostPath: absentable(absolute),
  type: absentable(z.enum(['b', 'c', 'u', 'p', ''])),
  major: absentable(z.number().int()),
  minor: absentable(z.number().int()),
  fileMode: absentable(z.number().int().min(0).max(0o7777)),
  permissions: absentable(z.string().regex(/^(?:[rwm]{0,3}|none)$/)),
  uid: absentable(id),
  gid: absentable(id),
})

const mountSchema = z.strictObject({
  hostPath: z.string(),
  containerPath: absolute,
  type: absentable(z.string()),
  options: strings,
})

const hookSchema = z.strictObject({
  hookName: z.enum(HOOKS),
  path: absolute,
  args: strings,
  env: variables,
  timeout: absentable(z.number().int().positive()),
})

// What isn't named here would change nothing: better refused than promised.
const editsSchema = z.strictObject({
  env: variables,
  deviceNodes: absentable(listOf(nodeSchema)),
  mounts: absentable(listOf(mountSchema)),
  hooks: absentable(listOf(hookSchema)),
  additionalGids: absentable(listOf(id)),
})

const specSchema = z.strictObject({
  cdiVersion: z.string().refine((text) => VERSIONS.includes(text.replace(/^v/, '')), {
    message: `not a version that is known (${VERSIONS.at(0)} to ${VERSIONS.at(-1)})`,
  }),
  kind: z.string().regex(KIND, 'expected VENDOR/CLASS'),
  annotations: stringMap,
  devices: listOf(
    z.strictObject({
      name: z.string().regex(new RegExp(`^${NAME}$`), 'not a name for a device'),
      annotations: stringMap,
      containerEdits: absentable(editsSchema),
    }),
  ),
  containerEdits: absentable(editsSchema),
})

/** Parses a CDI file in JSON. @throws CDI_INVALID */
export function parseCdiSpec(bytes: Uint8Array): CdiSpec {
  return checked(parseJson(bytes, { code: 'CDI_INVALID', maxBytes: LIMIT }))
}

/** Parses a CDI file in YAML. @throws CDI_INVALID */
export async function parseCdiYaml(bytes: Uint8Array): Promise<CdiSpec> {
  if (bytes.length > LIMIT)
    throw invalid(`YAML of ${bytes.length} bytes: at most ${LIMIT} are read`)
  const { parse } = await import('yaml')
  let value: unknown
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    // 1.1, by which 0666 is octal, is what the parsers of vendors' tools read.
    value = parse(text, { version: '1.1', logLevel: 'error', maxAliasCount: 100 })
  } catch (cause) {
    throw invalid(`not YAML: ${errorMessage(cause)}`, cause)
  }
  return checked(value)
}

function checked(value: unknown): CdiSpec {
  return check(specSchema, value, 'CDI file', 'CDI_INVALID')
}

function invalid(message: string, cause?: unknown): DrayError {
  return new DrayError('CDI_INVALID', message, { cause })
}
