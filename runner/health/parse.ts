import { DrayError } from '#oci/error.ts'
import type { Healthcheck } from '#oci/image-config.ts'
import { parseGoDuration } from '../log/time.ts'

/** What the flags of `run` say about health checks. */
export interface HealthFlags {
  readonly healthCmd?: string
  readonly healthInterval?: string
  readonly healthTimeout?: string
  readonly healthRetries?: number
  readonly healthStartPeriod?: string
  readonly healthStartInterval?: string
  /** Whether there may be one at all. */
  readonly healthcheck: boolean
}

const LEAST_MS = 1
const NANOSECONDS = 1e6 // of a millisecond

/** @returns undefined when the flags say nothing @throws USAGE */
export function parseHealthFlags(flags: HealthFlags): Healthcheck | undefined {
  const { healthCmd, healthRetries } = flags
  const asked = definedOnly({
    Test: healthCmd === undefined ? undefined : testOf(healthCmd),
    Interval: nanoseconds('--health-interval', flags.healthInterval),
    Timeout: nanoseconds('--health-timeout', flags.healthTimeout),
    StartPeriod: nanoseconds('--health-start-period', flags.healthStartPeriod),
    StartInterval: nanoseconds('--health-start-interval', flags.healthStartInterval),
    Retries: healthRetries,
  })
  if ((healthRetries ?? 0) < 0) throw usage('--health-retries is a number of failures')
  if (flags.healthcheck) return Object.keys(asked).length === 0 ? undefined : asked
  if (Object.keys(asked).length === 0) return { Test: ['NONE'] }
  throw usage('--no-healthcheck excludes the other flags about health checks')
}

const INSTRUCTION = /^(?:(NONE)|((?:--[a-z-]+=\S+\s+)*)CMD\s+(.*))$/is

/** Parses what follows HEALTHCHECK in a Dockerfile: `NONE`, or `[--interval=30s ...] CMD ...`. @throws USAGE */
export function parseHealthInstruction(text: string): Healthcheck {
  const [, none, flags = '', command = ''] = INSTRUCTION.exec(text) ?? []
  if (none !== undefined) return { Test: ['NONE'] }
  if (command === '') throw usage('write HEALTHCHECK NONE, or HEALTHCHECK [--interval=30s] CMD ...')
  const given = new Map(flags.split(/\s+/).filter(Boolean).map(splitFlag))
  const take = (name: string) => {
    const value = given.get(name)
    given.delete(name)
    return value
  }
  const retries = take('--retries')
  const check = definedOnly({
    Test: testOf(command),
    Interval: nanoseconds('--interval', take('--interval')),
    Timeout: nanoseconds('--timeout', take('--timeout')),
    StartPeriod: nanoseconds('--start-period', take('--start-period')),
    StartInterval: nanoseconds('--start-interval', take('--start-interval')),
    Retries: retries === undefined ? undefined : Number(retries),
  })
  const [unknown] = given.keys()
  if (unknown !== undefined) throw usage(`HEALTHCHECK has no flag ${unknown}`)
  if (retries !== undefined && !/^\d{1,6}$/.test(retries)) throw usage('--retries is a number')
  return check
}

/** A JSON list is a program and its arguments, `none` is none, anything else a line for the shell. */
function testOf(text: string): readonly string[] {
  if (text.toLowerCase() === 'none') return ['NONE']
  const words = text.startsWith('[') ? parseWords(text) : undefined
  if (words === undefined) return ['CMD-SHELL', text]
  return ['CMD', 'CMD-SHELL', 'NONE'].includes(words[0] ?? '') ? words : ['CMD', ...words]
}

/** `[ -f /ready ]` is no list, but a line. */
function parseWords(text: string): string[] | undefined {
  try {
    const words: unknown = JSON.parse(text)
    return Array.isArray(words) && words.every((word) => typeof word === 'string')
      ? words
      : undefined
  } catch {
    return undefined
  }
}

function nanoseconds(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = parseGoDuration(text)
  if (ms === 0 || (ms !== undefined && ms >= LEAST_MS)) return Math.round(ms * NANOSECONDS)
  throw usage(
    `invalid duration ${JSON.stringify(text)} of ${flag}: write 30s or 1m30s, at least 1ms`,
  )
}

function splitFlag(flag: string): [string, string] {
  const equals = flag.indexOf('=')
  return [flag.slice(0, equals), flag.slice(equals + 1)]
}

function definedOnly(check: { [K in keyof Healthcheck]: Healthcheck[K] | undefined }): Healthcheck {
  return Object.fromEntries(Object.entries(check).filter(([, value]) => value !== undefined))
}

function usage(message: string): DrayError {
  return new DrayError('USAGE', message)
}
