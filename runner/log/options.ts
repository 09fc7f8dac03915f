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
  checkFiles(values['max-file'])
  const maxSize =
    values['max-size'] === undefined ? DEFAULT_LOG.maxSize : parseBytes(values['max-size'])
  return { driver: known, maxSize, tag: values.tag }
}

function splitSetting(setting: string): [string, string] {
  const match = /^(max-size|max-file|tag)=(.+)$/.exec(setting)
  if (match?.[1] !== undefined && match[2] !== undefined) return [match[1], match[2]]
  throw usage(`invalid log option ${JSON.stringify(setting)}: write max-size=SIZE or tag=TEXT`)
}

/** conmon keeps one: it begins anew when it is full. @throws USAGE */
function checkFiles(count: string | undefined): void {
  if (count === undefined || count === '1') return
  throw usage(
    `invalid log option "max-file=${count}": a log is one file, which begins anew when it is full: give it more with max-size=SIZE, or take --log-driver journald`,
  )
}

function usage(message: string): DrayError {
  return new DrayError('USAGE', message)
}
