import * as z from 'zod'
import { DrayError, type ErrorCode } from './error.ts'

// A program for each shape takes longer to make than a process has documents to check with it.
z.config({ jitless: true })

/** A field that may be absent; Go programs write `null` for that. */
export function absentable<S extends z.ZodType>(schema: S) {
  return schema.nullish().transform((value): z.output<S> | undefined => value ?? undefined)
}

/**
 * A list, read up to the first item that is wrong: a million wrong ones in a small document would otherwise cost
 * seconds and gigabytes for their issues.
 */
export function listOf<S extends z.ZodType>(item: S) {
  return z.array(z.unknown()).transform((values, context): z.output<S>[] => {
    const items: z.output<S>[] = []
    for (const [place, value] of values.entries()) {
      const result = item.safeParse(value)
      if (!result.success) {
        const issue = result.error.issues[0]
        const path = [place, ...(issue?.path ?? [])]
        context.addIssue({ code: 'custom', message: issue?.message, path })
        return z.NEVER
      }
      items.push(result.data)
    }
    return items
  })
}

/** A list of strings, or absent. */
export const strings = absentable(listOf(z.string()))

/** A map of strings to strings, or absent. Names such as `__proto__` stay ordinary names. */
export const stringMap = absentable(
  z.unknown().transform((value, context): Record<string, string> => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      context.addIssue({ code: 'custom', message: 'expected an object' })
      return z.NEVER
    }
    const entries = Object.entries(value)
    const wrong = entries.find(([, text]) => typeof text !== 'string')
    if (wrong !== undefined) {
      const [name] = wrong
      context.addIssue({ code: 'custom', message: 'expected a string', path: [name.slice(0, 100)] })
      return z.NEVER
    }
    return Object.fromEntries(entries)
  }),
)

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
