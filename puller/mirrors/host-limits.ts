import { join } from 'node:path'
import * as z from 'zod'
import { parseByteRate } from '#oci/byte-rate.ts'
import type { FindLimits, HostLimits } from '../registry/remote-host.ts'
import { checkToml, readToml } from './toml.ts'

const rate = z.string().transform((text, context) => {
  const bytes = parseByteRate(text)
  if (bytes !== undefined) return bytes
  context.addIssue({ code: 'custom', message: 'write bytes per second, such as "500k" or "20m"' })
  return z.NEVER
})

const fileSchema = z.record(
  z.string(),
  z.strictObject({
    'max-connections': z.number().int().min(1).max(9999).optional(),
    'limit-rate': rate.optional(),
  }),
)

/** Where Dray's own settings of registries are, those of the user first. */
export function limitFiles(
  env: Readonly<Record<string, string | undefined>>,
  home: string,
  system = '/etc',
): readonly string[] {
  const config = env.XDG_CONFIG_HOME || join(home, '.config')
  return [config, system].map((dir) => join(dir, 'dray/registries.toml'))
}

/**
 * Reads limits of registries and mirrors, each a table by the name of the host. What `given` says comes before the first file,
 * and that before the second one.
 *
 * @throws CONFIG_INVALID naming the file, the line and the key
 */
export async function readLimits(
  files: readonly string[],
  given: ReadonlyMap<string, HostLimits> = new Map(),
): Promise<FindLimits> {
  const found = new Map(given)
  for (const path of files) {
    const file = await readToml(path)
    const hosts = file === undefined ? {} : checkToml(file, fileSchema)
    for (const [host, settings] of Object.entries(hosts)) {
      const { 'max-connections': maxConnections, 'limit-rate': limitRate } = settings
      const before = found.get(host)
      found.set(host, {
        maxConnections: before?.maxConnections ?? maxConnections,
        limitRate: before?.limitRate ?? limitRate,
      })
    }
  }
  return (registry) => found.get(registry)
}
