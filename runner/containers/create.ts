import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DrayError } from '#oci/error.ts'
import type { Rootfs } from '#oci/rootfs.ts'
import { type Cgroups, readCgroups, weighsDevices, whyNoLimits } from '../cgroup.ts'
import { checkCgroupManager } from '../cgroup-path.ts'
import { removeContainer } from '../cleanup.ts'
import type { RunnerContext } from '../context.ts'
import { variablesBeside, withValues } from '../environment.ts'
import { recordEvent } from '../events/record.ts'
import { containersDir, DEFAULT_STATE_DIR } from '../layout.ts'
import { checkLog } from '../monitor/conmon.ts'
import { type ContainerOptions, checkOptions } from '../options.ts'
import { readBootId } from '../processes.ts'
import { type Claim, type ContainerRecord, claimNew, writeRecord } from '../record.ts'
import { chooseRuntime, type OciRuntime } from '../runtime.ts'
import { remakeVolumes, resolveVolumes } from '../volumes/resolve.ts'
import { realContainersDir } from './find.ts'
import { takeName } from './names.ts'
import { resolveIds } from '../userns/resolve.ts'

/** A container's place on the host, ours until its claim is released. */
export interface NewContainer {
  readonly claim: Claim
  readonly record: ContainerRecord
  readonly runtime: OciRuntime
  readonly cgroups: Cgroups
}

/**
 * Makes the directory and the record of a new container, and gives it its name.
 *
 * @throws USAGE, RUNTIME_UNAVAILABLE, NAME_TAKEN, RUN_FAILED
 */
export async function newContainer(
  rootfs: Rootfs,
  asked: ContainerOptions,
  context: RunnerContext,
  kept: { readonly keeper: ContainerRecord['keeper']; readonly durable?: boolean },
): Promise<NewContainer> {
  const { keeper } = kept
  checkOptions(asked)
  requireRoot()
  checkCgroupManager(asked)
  if (keeper === 'monitor') await checkLog(asked.log, context.hostEnv.PATH)
  const cgroups = await readCgroups()
  const wanted = limitsKnown(asked, cgroups, context)
  warnOfLimits(wanted, cgroups, context)
  const runtime = chooseRuntime(context.runtime, context.hostEnv.PATH, cgroups)
  const runtimeRoot = join(resolve(context.stateDir ?? DEFAULT_STATE_DIR), runtime.name)
  mkdirSync(runtimeRoot, { recursive: true, mode: 0o700 })
  mkdirSync(containersDir(context.root), { recursive: true, mode: 0o700 })
  const claim = claimNew(realContainersDir(context.root) ?? '')
  const createdAt = new Date().toISOString()
  let record: ContainerRecord | undefined
  try {
    const options = resolveIds(
      claim.paths.dir,
      await resolveVolumes(context.root, rootfs.config.config ?? {}, wanted),
    )
    const env = withValues(options.env ?? [], context.hostEnv)
    const { Env: ofImage = [] } = rootfs.config.config ?? {}
    const inheritedEnv = options.hasHostEnv ? variablesBeside(ofImage, context.hostEnv) : undefined
    record = {
      version: 2,
      id: claim.id,
      name: takeName(context.root, claim.id, options.name),
      createdAt,
      image: options.image ?? rootfs.manifestDigest,
      rootfs,
      options: { ...options, env, inheritedEnv },
      runtime: runtime.path,
      runtimeRoot,
      keeper,
      phase:
        keeper === 'owner'
          ? { name: 'starting', bootId: readBootId(), startedAt: createdAt }
          : { name: 'created' },
    }
    await writeRecord(claim.paths, record, kept)
    await remakeVolumes(context.root, record.options)
    recordEvent(context.root, record, 'create')
    return { claim, record, runtime, cgroups }
  } catch (error) {
    await removeContainer(context.root, claim, record, cgroups)
    claim.release()
    throw error
  }
}

/** Options without what the kernel of this host has nothing for, which is said. */
function limitsKnown(
  options: ContainerOptions,
  { mode }: Cgroups,
  context: RunnerContext,
): ContainerOptions {
  const known = mode === 'v2' ? withoutLimits(options, V1_LIMITS, context) : options
  const isWeighed = known.blkioWeight !== undefined || known.deviceWeights !== undefined
  return isWeighed && !weighsDevices() ? withoutLimits(known, WEIGHTS, context) : known
}

type Limits = Readonly<Partial<Record<keyof ContainerOptions, string>>>

/** Why they are left out, by limit. */
export const V1_LIMITS: Limits = {
  memorySwappiness: '--memory-swappiness is left out: cgroup v2 has nothing like it',
  oomKillDisable: '--oom-kill-disable is left out: cgroup v2 has nothing like it',
}
const WEIGHTS: Limits = {
  blkioWeight: '--blkio-weight is left out: the kernel weighs nothing; try modprobe bfq',
  deviceWeights: '--blkio-weight-device is left out: the kernel weighs nothing; try modprobe bfq',
}

export function withoutLimits(
  options: ContainerOptions,
  limits: Limits,
  { onWarning }: Pick<RunnerContext, 'onWarning'>,
): ContainerOptions {
  const given = Object.entries(limits).filter(
    ([name]) => options[name as keyof ContainerOptions] !== undefined,
  )
  for (const [, why] of given) onWarning?.(why)
  return { ...options, ...Object.fromEntries(given.map(([name]) => [name, undefined])) }
}

function warnOfLimits(
  options: ContainerOptions,
  cgroups: Cgroups,
  { onWarning }: RunnerContext,
): void {
  const why = whyNoLimits(options, cgroups)
  if (why !== undefined)
    onWarning?.(`nothing holds the container to limits that were asked for: ${why}`)
}

/** @throws RUN_FAILED for anyone but root */
export function requireRoot(): void {
  if (process.geteuid?.() === 0) return
  throw new DrayError('RUN_FAILED', 'containers are mounted and isolated by root: run as root')
}
