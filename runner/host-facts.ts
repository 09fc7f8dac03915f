import { existsSync, readdirSync } from 'node:fs'
import { release } from 'node:os'
import { highestGroup, isInUserNamespace } from '#oci/user-namespace.ts'
import { type Cgroups, limitsSwap } from './cgroup.ts'
import { capabilitiesIn } from './spec/capabilities.ts'
import type { SpecFacts } from './spec.ts'
import { readText } from './read-text.ts'

/** The part of {@link SpecFacts} that is the same for every container of a host. */
export type HostFacts = Pick<
  SpecFacts,
  | 'architecture'
  | 'limitsSwap'
  | 'recursiveReadOnly'
  | 'openFilesLimit'
  | 'oomScoreAdj'
  | 'thermalPaths'
  | 'hostCapabilities'
  | 'hasCgroup'
  | 'controllers'
  | 'userNamespace'
>

const CPU_DIR = '/sys/devices/system/cpu'

/** Reads what a container's spec depends on. What can't be read has the careful value. */
export function readHostFacts(cgroups: Cgroups): HostFacts {
  return {
    architecture: process.arch,
    limitsSwap: limitsSwap(cgroups),
    recursiveReadOnly: isKernelAtLeast(5, 12),
    openFilesLimit: hardOpenFilesLimit(readText('/proc/self/limits')),
    oomScoreAdj: Math.max(0, Number(readText('/proc/self/oom_score_adj')) || 0),
    thermalPaths: thermalPaths(namesOfCpus()),
    hostCapabilities: capabilitiesIn(readText('/proc/self/status')),
    hasCgroup: cgroups.obstacle === undefined,
    controllers: cgroups.controllers,
    ...(isInUserNamespace() && {
      userNamespace: { highestGroup: Math.min(highestGroup(), 2 ** 31 - 1) },
    }),
  }
}

function namesOfCpus(): string[] {
  try {
    return readdirSync(CPU_DIR)
  } catch {
    return []
  }
}

/** Whether a kernel release, by default the running one, is of a version or newer. */
export function isKernelAtLeast(major: number, minor: number, kernel: string = release()): boolean {
  const [ownMajor = 0, ownMinor = 0] = kernel.split('.', 2).map((part) => Number.parseInt(part, 10))
  return ownMajor > major || (ownMajor === major && ownMinor >= minor)
}

/** From the text of /proc/PID/limits; 1024 when it says nothing. */
export function hardOpenFilesLimit(limits: string): number {
  const hard = /^Max open files\s+\S+\s+(\d+|unlimited)/m.exec(limits)?.[1]
  return hard === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(hard ?? 1024)
}

function thermalPaths(cpus: readonly string[]): string[] {
  return cpus
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => `${CPU_DIR}/${name}/thermal_throttle`)
    .filter((path) => existsSync(path))
}
