import { statSync } from 'node:fs'
import { DrayError } from '#oci/error.ts'
import type { BlockIo } from '#oci/runtime-spec.ts'
import { type ContainerOptions, type DeviceRate, normalPath } from '../options.ts'
import { parseBytes } from '../size.ts'
import { deviceNumbers } from './devices.ts'

/** Parses `/dev/DEVICE:RATE`: bytes such as `10mb`, or a number of operations, in a second. @throws USAGE */
export function parseDeviceRate(kind: DeviceRate['kind'], text: string): DeviceRate {
  const [, path, rate = ''] = /^(\/[^:]+):([^:]+)$/.exec(text) ?? []
  const isInBytes = kind.includes('Bps')
  const number = isInBytes ? parseByteRate(rate) : parseCount(rate)
  if (path !== undefined && number > 0) return { kind, hostPath: normalPath(path), rate: number }
  const example = isInBytes ? '10mb' : '1000'
  const message = `invalid rate ${JSON.stringify(text)}: write /dev/DEVICE:RATE, such as /dev/sda:${example}`
  throw new DrayError('USAGE', message)
}

function parseByteRate(text: string): number {
  return text === '' ? 0 : parseBytes(text)
}

function parseCount(text: string): number {
  return /^\d{1,10}$/.test(text) ? Number(text) : 0
}

/** The rates of a container, by the numbers that devices have now. @throws USAGE when there is no such device */
export function blockIoOf({ deviceRates = [] }: ContainerOptions): BlockIo | undefined {
  if (deviceRates.length === 0) return undefined
  const byKind = Object.groupBy(deviceRates, ({ kind }) => kind)
  return Object.fromEntries(
    Object.entries(byKind).map(([kind, rates]) => [
      kind,
      rates.map(({ hostPath, rate }) => ({ ...numbersAt(hostPath), rate })),
    ]),
  )
}

function numbersAt(hostPath: string) {
  const stats = statSync(hostPath, { throwIfNoEntry: false })
  if (stats?.isBlockDevice()) return deviceNumbers(stats.rdev)
  throw new DrayError('USAGE', `${hostPath} is no block device of this host: lsblk lists them`)
}
