import type { ExecutionConfig, Healthcheck } from '#oci/image-config.ts'
import type { ContainerOptions } from '../options.ts'
import type { ContainerRecord } from '../record.ts'

/** How the health of a container is found out. */
export interface HealthCheck {
  readonly command: readonly string[]
  /** Between the end of a check and the next one. */
  readonly intervalMs: number
  /** A check that takes longer is killed, and has failed. */
  readonly timeoutMs: number
  /** Failures of a container that is starting don't count for so long. */
  readonly startPeriodMs: number
  /** In place of the interval, up to the end of the start period or the first success. */
  readonly startIntervalMs: number
  /** So many failures in a row make it unhealthy. */
  readonly retries: number
}

const NANOSECONDS = 1e6 // of a millisecond

/** docker's, where nothing is said. */
const DEFAULTS = {
  intervalMs: 30_000,
  timeoutMs: 30_000,
  startPeriodMs: 0,
  startIntervalMs: 5000,
  retries: 3,
} as const

/** What the image says, overruled by what was asked for, each for itself, as docker has it. Pure. */
export function mergedHealthcheck(
  config: ExecutionConfig,
  options: ContainerOptions,
): Healthcheck | undefined {
  const [image, own] = [config.Healthcheck, options.health]
  if (image === undefined || own === undefined) return own ?? image
  const { Test, ...rest } = own
  return { ...image, ...rest, ...(Test?.length && { Test }) }
}

/** The health check of a container; undefined when it has none. Pure. */
export function healthCheckOf(
  config: ExecutionConfig,
  options: ContainerOptions,
): HealthCheck | undefined {
  const merged = mergedHealthcheck(config, options)
  const command = commandOf(merged?.Test ?? [], config)
  if (merged === undefined || command === undefined) return undefined
  const ms = (nanoseconds: number | undefined, otherwise: number) =>
    nanoseconds !== undefined && nanoseconds > 0 ? nanoseconds / NANOSECONDS : otherwise
  return {
    command,
    intervalMs: ms(merged.Interval, DEFAULTS.intervalMs),
    timeoutMs: ms(merged.Timeout, DEFAULTS.timeoutMs),
    startPeriodMs: ms(merged.StartPeriod, DEFAULTS.startPeriodMs),
    startIntervalMs: ms(merged.StartInterval, DEFAULTS.startIntervalMs),
    retries: merged.Retries !== undefined && merged.Retries > 0 ? merged.Retries : DEFAULTS.retries,
  }
}

/** {@link healthCheckOf} a container that is written down. */
export function checkOfRecord({
  rootfs,
  options,
}: Pick<ContainerRecord, 'rootfs' | 'options'>): HealthCheck | undefined {
  return healthCheckOf(rootfs.config.config ?? {}, options)
}

/** Of docker's forms: CMD with arguments, CMD-SHELL with a line. NONE, and what it doesn't know, is no check. */
function commandOf(
  [form, ...words]: readonly string[],
  { Shell = [] }: ExecutionConfig,
): readonly string[] | undefined {
  if (words.length === 0) return undefined
  if (form === 'CMD') return words
  const shell = Shell.length === 0 ? ['/bin/sh', '-c'] : Shell
  return form === 'CMD-SHELL' ? [...shell, ...words] : undefined
}
