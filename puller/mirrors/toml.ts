import { readFile } from 'node:fs/promises'
import type * as z from 'zod'
import { DrayError, errorMessage, isErrno } from '#oci/error.ts'
import { lineOf } from './toml-line.ts'

/** A file of settings in TOML. */
export interface TomlFile {
  readonly path: string
  readonly text: string
  readonly document: unknown
}

/** Undefined when there is no such file. @throws CONFIG_INVALID naming the file and the line */
export async function readToml(path: string): Promise<TomlFile | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) return undefined
    throw new DrayError('CONFIG_INVALID', `cannot read ${path}: ${errorMessage(cause)}`, { cause })
  }
  const { parse, TomlError } = await import('smol-toml')
  try {
    return { path, text, document: parse(text) }
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause
    const [what = ''] = cause.message.split('\n')
    throw new DrayError('CONFIG_INVALID', `${path}:${cause.line}: ${what}`, { cause })
  }
}

/** What a file says, checked. @throws CONFIG_INVALID naming the file, the line and the key */
export function checkToml<S extends z.ZodType>(file: TomlFile, schema: S): z.output<S> {
  const result = schema.safeParse(file.document)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw invalidToml(file, (issue?.path ?? []) as Key[], issue?.message ?? 'not understood')
}

/** A step to a value: the name of a key, or a place in an array. */
export type Key = string | number

/** What is wrong with the value at `path`. */
export function invalidToml(file: TomlFile, path: readonly Key[], why: string): DrayError {
  const line = lineOf(file.text, path)
  const key = path.filter((step) => typeof step === 'string').join('.')
  return new DrayError(
    'CONFIG_INVALID',
    `${file.path}:${line}: ${key === '' ? '' : `${key}: `}${why}`,
  )
}
