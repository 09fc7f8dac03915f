import type * as z from 'zod'
import { DrayError } from '#oci/error.ts'
import { parseJson } from '#oci/json.ts'
import { check } from '#oci/schema.ts'

const LIMITS = { code: 'CONFIG_INVALID', maxBytes: 4 * 1024 * 1024 } as const

/** A document that holds secrets: what is wrong with it is said without quoting it. @throws CONFIG_INVALID */
export function parseSecretJson<S extends z.ZodType>(
  bytes: Buffer,
  schema: S,
  what: string,
): { readonly document: unknown; readonly value: z.output<S> } {
  let document: unknown
  try {
    document = parseJson(bytes, LIMITS)
  } catch {
    throw new DrayError('CONFIG_INVALID', `the ${what} is not JSON`)
  }
  return { document, value: check(schema, document, what, 'CONFIG_INVALID') }
}
