import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

const SYSTEM_ROOT = '/var/lib/dray'

/**
 * Where the local store is: `--root`, else `$DRAY_ROOT`, else `/var/lib/dray` for root and `$XDG_DATA_HOME/dray`
 * (`~/.local/share/dray`) for anyone else.
 */
export function rootDir(
  option: string | undefined,
  env = process.env,
  uid = process.getuid?.(),
): string {
  const named = option ?? env.DRAY_ROOT
  if (named !== undefined && named !== '') return resolve(named)
  if (uid === 0) return SYSTEM_ROOT
  const data = env.XDG_DATA_HOME
  return join(data === undefined || data === '' ? join(homedir(), '.local/share') : data, 'dray')
}
