import type * as z from 'zod'

/** How a setting is written outside of a config file: as it is, as a number, as `true` or `false`, or as JSON. */
export type SettingKind = 'text' | 'number' | 'boolean' | 'json'

/** What is to be said about a setting. `V` is its value as it stands in a config file. */
export interface About<V> {
  /** Without it the setting may be absent. */
  readonly default?: V | Readonly<V>
  /** What the documentation calls the default, where the value itself doesn't say it. */
  readonly defaultText?: string
  /** One line for `--help`: a phrase without a capital or a full stop. */
  readonly summary: string
  /** Sentences that the documentation adds. */
  readonly details?: string
  /** Name of its flag, if not made of the key; false for none. */
  readonly flag?: string | false
  /** What stands behind its flag. */
  readonly argument?: string
  /** For flags that can be repeated: adds one to the value so far, or returns undefined when it can't be read. */
  readonly collect?: (text: string, values: V | undefined) => V | undefined
}

/** One option of the registry, declared once: key, variable, flag, `--help` and documentation all come of it. */
export type Setting<S extends z.ZodType, A> = A & {
  readonly kind: SettingKind
  readonly schema: S
}

// biome-ignore lint/suspicious/noExplicitAny: of any value
export type AnySetting = Setting<z.ZodType, About<any>>

export function setting<S extends z.ZodType, const A extends About<z.input<S>>>(
  kind: SettingKind,
  schema: S,
  about: A,
): Setting<S, A> {
  return { ...about, kind, schema }
}

/**
 * Settings that belong together, as one object of the config file. One that needs some of its settings is absent
 * unless they are given, and refused when only others are.
 */
export interface Section<T, N extends string> {
  readonly settings: T
  readonly needs: readonly N[]
}

export function section<T, N extends string & keyof T = never>(
  settings: T,
  { needs = [] }: { readonly needs?: readonly N[] } = {},
): Section<T, N> {
  return { settings, needs }
}

export type AnySection = Section<Readonly<Record<string, AnySetting>>, string>

type Table = Readonly<Record<string, AnySetting | AnySection>>

type ValueOf<T> = T extends { schema: infer S extends z.ZodType }
  ? z.output<S> | (T extends { default: unknown } ? never : undefined)
  : never
type InputOf<T> = T extends { schema: infer S extends z.ZodType } ? z.input<S> : never

type SectionOf<T, N extends string> = {
  readonly [K in keyof T]: K extends N ? Exclude<ValueOf<T[K]>, undefined> : ValueOf<T[K]>
}

/** The complete configuration that a table of settings describes. */
export type ConfigOf<T> = {
  readonly [K in keyof T]: T[K] extends Section<infer U, infer N>
    ? SectionOf<U, N> | ([N] extends [never] ? never : undefined)
    : ValueOf<T[K]>
}

/** A config file of that form: every key optional. */
export type DocumentOf<T> = {
  readonly [K in keyof T]?:
    | (T[K] extends Section<infer U, infer _>
        ? { readonly [L in keyof U]?: InputOf<U[L]> | undefined }
        : InputOf<T[K]>)
    | undefined
}

/** A setting with all of its names. */
export interface NamedSetting {
  /** As in `s3.bucket`. */
  readonly path: readonly [string] | readonly [section: string, name: string]
  readonly key: string
  readonly variable: string
  /** Without the dashes. */
  readonly flag: string | undefined
  readonly setting: AnySetting
}

/** Every setting of a table in its order, those of a section in the section's place. */
export function namedSettings(table: Table): readonly NamedSetting[] {
  return Object.entries(table).flatMap(([name, entry]) =>
    isSection(entry)
      ? Object.entries(entry.settings).map(([inner, each]) => named([name, inner], each))
      : [named([name], entry)],
  )
}

export function isSection(entry: AnySetting | AnySection): entry is AnySection {
  return 'settings' in entry
}

function named(path: NamedSetting['path'], setting: AnySetting): NamedSetting {
  const words = path.flatMap((name) => name.replace(/(?=[A-Z])/g, ' ').split(' '))
  return {
    path,
    key: path.join('.'),
    variable: `DRAY_${words.join('_').toUpperCase()}`,
    flag: setting.flag === false ? undefined : (setting.flag ?? words.join('-').toLowerCase()),
    setting,
  }
}
