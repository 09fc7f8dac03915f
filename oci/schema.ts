import { z } from 'zod'
import { DrayError, type ErrorCode } from './error.ts'

/** A field that may be absent; Go programs write `null` for that. */
export function absentable<S extends z.ZodType>(schema: S) {
  return schema.nullish().transform((value): z.output<S> | undefined => value ?? undefined)
}

/** A list of strings, or absent. */
export const strings = absentable(z.array(z.string()))

/** A map of strings to strings, or absent. Names such as `__proto__` stay ordinary names. */
export const stringMap = absentable(z.record(z.string(), z.string()))

/** Checks a document; the error names the field. @throws `code` */
export function check<S extends z.ZodType>(
  schema: S,
  value: unknown,
  what: string,
  code: ErrorCode,
): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const path = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`
  const more = result.error.issues.length > 1 ? ` (and ${result.error.issues.length - 1} more)` : ''
  throw new DrayError(code, `invalid ${what}${path}: ${issue?.message ?? 'not understood'}${more}`)
}
