/** What a container's environment is made of, the later winning. */
export interface EnvironmentParts {
  readonly hostname: string
  readonly home: string
  readonly tty: boolean
  /** Entries of the image config. Those without `=` mean nothing and are left out. */
  readonly image: readonly string[]
  /** `KEY=VALUE`, or `KEY` to drop one of the image. */
  readonly options: readonly string[]
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The environment as `KEY=VALUE`, each key once, in the order of their first mention. */
export function buildEnvironment(parts: EnvironmentParts): string[] {
  const variables = new Map([
    ['PATH', DEFAULT_PATH],
    ['HOSTNAME', parts.hostname],
    ...(parts.tty ? [['TERM', 'xterm'] as const] : []),
    ['HOME', parts.home],
  ])
  for (const entry of parts.image) {
    const equals = entry.indexOf('=')
    if (equals > 0) variables.set(entry.slice(0, equals), entry.slice(equals + 1))
  }
  const environment = [...variables].map(([key, value]) => `${key}=${value}`)
  return mergeEnvironment(environment, parts.options)
}

/**
 * Gives a `KEY` alone the value that it has in `host`: of a container when that is made, since it may be started by somebody else,
 * who has another. One without a value there stays as it is.
 */
export function withValues(
  options: readonly string[],
  host: Readonly<Record<string, string | undefined>>,
): string[] {
  return options.map((entry) =>
    entry.includes('=') || host[entry] === undefined ? entry : `${entry}=${host[entry]}`,
  )
}

/** The variables of a host that an image has none of the same name of. */
export function variablesBeside(
  image: readonly string[],
  host: Readonly<Record<string, string | undefined>>,
): string[] {
  return Object.entries(host).flatMap(([key, value]) =>
    value === undefined || findVariable(image, key) !== undefined ? [] : [`${key}=${value}`],
  )
}

/**
 * Adds `KEY=VALUE` to an environment, the later winning; `KEY` alone drops it. Each key is there once, in the order of their first
 * mention.
 */
export function mergeEnvironment(
  environment: readonly string[],
  added: readonly string[],
): string[] {
  const variables = new Map<string, string>()
  const own = environment.length
  for (const [at, entry] of [...environment, ...added].entries()) {
    const equals = entry.indexOf('=')
    const key = equals < 0 ? entry : entry.slice(0, equals)
    const value = equals < 0 && at >= own ? undefined : entry.slice(equals + 1)
    if (value === undefined) variables.delete(key)
    else variables.set(key, value)
  }
  return [...variables].map(([key, value]) => `${key}=${value}`)
}

/** The value of a variable in a list of `KEY=VALUE`. */
export function findVariable(environment: readonly string[], key: string): string | undefined {
  return environment.find((entry) => entry.startsWith(`${key}=`))?.slice(key.length + 1)
}
