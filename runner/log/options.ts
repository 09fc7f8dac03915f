import { DrayError } from '#oci/error.ts'
import { DEFAULT_LOG } from '../monitor/conmon.ts'
import type { LogOptions } from '../options.ts'
import { parseBytes } from '../size.ts'

const DRIVERS: Readonly<Record<string, LogOptions['driver']>> = {
  'k8s-file': 'k8s-file',
  // What docker and podman call a file with a line for each line: it serves the same.
  'json-file': 'k8s-file',
  journald: 'journald',
  none: 'none',
}

/** Parses `--log-driver` and the `KEY=VALUE` of `--log-opt`. Undefined when neither is given. @throws USAGE */
export function parseLogOptions(
  driver: string | undefined,
  settings: readonly string[],
): LogOptions | undefined {
  if (driver === undefined && settings.length === 0) return undefined
  const known = DRIVERS[driver ?? DEFAULT_LOG.driver]
  if (known === undefined) {
    throw usage(`no such log driver ${driver}: write ${Object.keys(DRIVERS).join(', ')}`)
  }
  const values = Object.fromEntries(settings.map(splitSetting))
  const maxSize =
    values['max-size'] === undefined ? DEFAULT_LOG.maxSize : parseBytes(values['max-size'])
  const maxFiles = parseFiles(values['max-file'])
  return { driver: known, maxSize, maxFiles, tag: values.tag }
}

function splitSetting(setting: string): [string, string] {
  const match = /^(max-size|max-file|tag)=(.+)$/.exec(setting)
  if (match?.[1] !== undefined && match[2] !== undefined) return [match[1], match[2]]
  throw usage(
    `invalid log option ${JSON.stringify(setting)}: write max-size=SIZE, max-file=NUMBER or tag=TEXT`,
  )
}

/** Undefined for one, which any conmon keeps. @throws USAGE */
function parseFiles(text = '1'): number | undefined {
  if (!/^[1-9]\d{0,2}$/.test(text)) {
    throw usage(`invalid log option "max-file=${text}": write how many files to keep, 1 to 999`)
  }
  return text === '1' ? undefined : Number(text)
}

function usage(message: string): DrayError {
  return new DrayError('USAGE', message)
}
