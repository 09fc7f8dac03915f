import type { Linux, Namespace } from '#oci/runtime-spec.ts'
import { cgroupsPathOf } from '../cgroup-path.ts'
import { maskedPaths, READ_ONLY_PATHS } from '../mounts.ts'
import type { ContainerOptions } from '../options.ts'
import { seccompProfile } from '../seccomp.ts'
import { idsFromZero } from '../userns/id-map.ts'
import type { SpecFacts } from '../spec.ts'
import { boundingSet } from './capabilities.ts'
import { isMounted } from './devices.ts'
import { buildResources, limitsHeld } from './limits.ts'

/** What is Linux's own in the spec of a container. */
export function buildLinux(options: ContainerOptions, facts: SpecFacts): Linux {
  const devices = facts.devices ?? []
  const made = devices.filter((device) => facts.idMap === undefined || !isMounted(device))
  const isOpen = options.privileged || options.unmaskedPaths
  const seccomp = seccompOf(options, facts)
  return {
    namespaces: namespacesOf(options, facts),
    ...(facts.idMap !== undefined && {
      uidMappings: facts.idMap.uids,
      gidMappings: facts.idMap.gids,
    }),
    ...(facts.hasCgroup !== false && {
      cgroupsPath: cgroupsPathOf(facts.id, options),
      resources: {
        ...buildResources(limitsHeld(options, facts.controllers), facts.limitsSwap, devices),
        ...(facts.blockIo !== undefined && { blockIO: facts.blockIo }),
      },
    }),
    ...(made.length > 0 && { devices: made.map(({ node }) => node) }),
    sysctl: {
      ...(hasOwnNetwork(options) && networkSysctls(facts)),
      ...domainSysctl(options, facts),
      ...options.sysctls,
    },
    maskedPaths: isOpen ? [] : maskedPaths(facts.thermalPaths),
    readonlyPaths: isOpen ? [] : READ_ONLY_PATHS,
    ...(seccomp !== undefined && { seccomp }),
  }
}

/** docker's: in a network of one's own, low ports and ping are nobody's privilege. */
function networkSysctls({ idMap, userNamespace }: SpecFacts): Record<string, string> {
  const ofHost = userNamespace?.highestGroup ?? 2 ** 31 - 1
  const lastGroup = idMap === undefined ? ofHost : idsFromZero(idMap.gids) - 1
  return {
    'net.ipv4.ip_unprivileged_port_start': '0',
    'net.ipv4.ping_group_range': `0 ${lastGroup}`,
  }
}

/** What setdomainname(2) does. In a user namespace nobody may write it; the full host name has it there too. */
function domainSysctl({ domainname }: ContainerOptions, facts: SpecFacts): Record<string, string> {
  const mayWrite = facts.idMap === undefined && facts.userNamespace === undefined
  return domainname !== undefined && mayWrite ? { 'kernel.domainname': domainname } : {}
}

function hasOwnNetwork({ network = 'none' }: ContainerOptions): boolean {
  return network !== 'host' && !network.startsWith('container:')
}

/** New ones, but those that are the host's or another container's. */
function namespacesOf(options: ContainerOptions, facts: SpecFacts): Namespace[] {
  const { pid, ipc, uts, network, cgroupns: cgroup } = options
  const shared: Partial<Record<Namespace['type'], string | undefined>> = {
    pid,
    ipc,
    uts,
    network,
    cgroup,
  }
  const types = ['pid', 'mount', 'uts', 'ipc', 'cgroup', 'network'] as const
  return [...types, ...(facts.idMap === undefined ? [] : ['user' as const])]
    .filter((type) => shared[type] !== 'host')
    .map((type) => {
      const path = facts.namespaces?.[type]
      return path === undefined ? { type } : { type, path }
    })
}

function seccompOf(options: ContainerOptions, facts: SpecFacts): Linux['seccomp'] {
  if (options.seccomp === 'unconfined' || options.privileged) return undefined
  return (
    options.seccomp ??
    seccompProfile(facts.architecture, boundingSet(options, facts.hostCapabilities))
  )
}
