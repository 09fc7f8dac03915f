import { DrayError } from '#oci/error.ts'
import type { Inflater } from '#puller/index.ts'

const NAMES: readonly string[] = ['auto', 'zlib'] satisfies readonly Inflater[]

/** What inflates gzip layers, by `$DRAY_INFLATER`. @throws USAGE */
export function inflaterOf(env = process.env): Inflater {
  const name = env.DRAY_INFLATER ?? ''
  if (name === '') return 'auto'
  if (NAMES.includes(name)) return name as Inflater
  throw new DrayError('USAGE', `DRAY_INFLATER is ${name}: set it to ${NAMES.join(' or ')}`)
}
