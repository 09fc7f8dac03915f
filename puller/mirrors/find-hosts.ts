import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readHostsToml } from './hosts-toml.ts'
import {
  entryFor,
  hostsOf,
  nameOf,
  readRegistriesConf,
  type RegistryEntry,
} from './registries-conf.ts'
import type { FindHosts } from './registry-host.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Files and directories that say where registries are. */
export interface HostSettings {
  /** `registries.conf`. */
  readonly files: readonly string[]
  /** Of files that are dropped in beside it. */
  readonly dropIns: readonly string[]
  /** Of `<host>/hosts.toml`. */
  readonly hostsDirs: readonly string[]
}

/**
 * Where podman and containerd look. The user's `registries.conf` takes the place of the system's with its drop-ins; one that
 * `$CONTAINERS_REGISTRIES_CONF` names takes the place of all.
 */
export function hostSettings(env: Environment, home: string, system = '/etc'): HostSettings {
  const config = env.XDG_CONFIG_HOME || join(home, '.config')
  const hostsDirs = [join(config, 'containerd/certs.d'), join(system, 'containerd/certs.d')]
  const named = env.CONTAINERS_REGISTRIES_CONF
  if (named) return { files: [named], dropIns: [], hostsDirs }
  const own = join(config, 'containers/registries.conf')
  if (existsSync(own)) return { files: [own], dropIns: [`${own}.d`], hostsDirs }
  const shared = join(system, 'containers/registries.conf')
  return { files: [shared], dropIns: [`${shared}.d`, `${own}.d`], hostsDirs }
}

/** What `registries.conf` says of a repository counts; where it says nothing, `hosts.toml` of its registry does. */
export function hostFinder({ files, dropIns, hostsDirs }: HostSettings): FindHosts {
  let entries: Promise<readonly RegistryEntry[]> | undefined
  return async (wanted, access) => {
    entries ??= readRegistriesConf(files, dropIns)
    const found = entryFor(await entries, nameOf(wanted))
    return found === undefined
      ? await readHostsToml(hostsDirs, wanted)
      : hostsOf(found.entry, found.length, wanted, access)
  }
}
