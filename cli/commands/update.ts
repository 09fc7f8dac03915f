import { Command } from 'commander'
import type { HealthFlags } from '#runner/health/parse.ts'
import { cpuPeriod, cpuQuota, HEALTH_FLAGS } from '../container-flags.ts'
import { forEachContainer, runnerContext } from '../containers.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface UpdateFlags extends StoreOptions, HealthFlags {
  readonly memory?: string
  readonly memorySwap?: string
  readonly memoryReservation?: string
  readonly cpus?: string
  readonly cpuPeriod?: number
  readonly cpuQuota?: number
  readonly cpuShares?: string
  readonly cpusetCpus?: string
  readonly cpusetMems?: string
  readonly pidsLimit?: string
  readonly blkioWeight?: string
  readonly restart?: string
}

export function updateCommand(): Command {
  const command = new Command('update')
    .description('Change the limits and health checks of containers, at once when they run')
    .argument('<container...>', 'names or ids')
    .option('-m, --memory <size>', 'memory limit, such as 512m')
    .option('--memory-swap <size>', 'limit of memory and swap together')
    .option('--memory-reservation <size>', 'memory to keep when the host runs short')
    .option('--cpus <number>', 'CPU limit, such as 1.5')
    .option('--cpu-period <microseconds>', 'what --cpu-quota counts in', cpuPeriod)
    .option('--cpu-quota <microseconds>', 'CPU time in each period; -1 for no limit', cpuQuota)
    .option('-c, --cpu-shares <number>', 'weight against others when CPUs are short')
    .option('--cpuset-cpus <list>', 'CPUs to run on, such as 0-2,4')
    .option('--cpuset-mems <list>', 'memory nodes to take from')
    .option('--pids-limit <number>', 'most processes and threads')
    .option('--blkio-weight <weight>', 'share of disks against others, 10 to 1000')
    .option('--restart <policy>', 'no, on-failure[:N], always or unless-stopped')
  for (const flag of HEALTH_FLAGS) command.addOption(flag)
  return withExamples(withStoreOptions(command), [
    ['dray update --memory 1g --cpus 2 db', 'more of both'],
    ['dray update --restart always web', 'from now on'],
  ]).action(update)
}

async function update(references: readonly string[], flags: UpdateFlags): Promise<void> {
  const { updateContainer } = await import('#runner/verbs/update.ts')
  const parse = await import('#runner/parse.ts')
  const given = <T>(text: string | undefined, read: (text: string) => T) =>
    text === undefined ? undefined : read(text)
  const changes = {
    memory: given(flags.memory, parse.parseMemory),
    memorySwap: given(flags.memorySwap, parse.parseMemorySwap),
    memoryReservation: given(flags.memoryReservation, parse.parseBytes),
    cpus: given(flags.cpus, parse.parseCpus),
    cpuPeriod: flags.cpuPeriod,
    cpuQuota: flags.cpuQuota,
    cpuShares: given(flags.cpuShares, parse.parseCpuShares),
    cpusetCpus: given(flags.cpusetCpus, parse.parseCpuset),
    cpusetMems: given(flags.cpusetMems, parse.parseCpuset),
    pidsLimit: given(flags.pidsLimit, parse.parsePidsLimit),
    blkioWeight: given(flags.blkioWeight, parse.parseWeight),
    restart: given(flags.restart, parse.parseRestartPolicy),
    health: parse.parseHealthFlags(flags),
  }
  const context = runnerContext(flags)
  await forEachContainer(context.root, references, (container) =>
    updateContainer(container, changes, context),
  )
}
