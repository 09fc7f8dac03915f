import { statSync } from 'node:fs'
import { DrayError } from '#oci/error.ts'
import type { BlockIo } from '#oci/runtime-spec.ts'
import {
  type ContainerOptions,
  type DeviceRate,
  type DeviceWeight,
  normalPath,
} from '../options.ts'
import { readText } from '../read-text.ts'
import { parseBytes } from '../size.ts'
import { deviceNumbers } from './devices.ts'

/** Parses `/dev/DEVICE:RATE`: bytes such as `10mb`, or a number of operations, in a second. @throws USAGE */
export function parseDeviceRate(kind: DeviceRate['kind'], text: string): DeviceRate {
  const { path, value: rate } = splitDevice(text)
  const isInBytes = kind.includes('Bps')
  const number = isInBytes ? parseByteRate(rate) : parseCount(rate)
  if (path !== undefined && number > 0) return { kind, hostPath: normalPath(path), rate: number }
  const example = isInBytes ? '10mb' : '1000'
  const message = `invalid rate ${JSON.stringify(text)}: write /dev/DEVICE:RATE, such as /dev/sda:${example}`
  throw new DrayError('USAGE', message)
}

/** The parts of `/dev/DEVICE:VALUE`; no path where it has another form. */
function splitDevice(text: string): { readonly path: string | undefined; readonly value: string } {
  const [, path, value = ''] = /^(\/[^:]+):([^:]+)$/.exec(text) ?? []
  return { path, value }
}

function parseByteRate(text: string): number {
  return text === '' ? 0 : parseBytes(text)
}

function parseCount(text: string): number {
  return /^\d{1,10}$/.test(text) ? Number(text) : 0
}

/** Parses a weight; 0, which is none, gives undefined. @throws USAGE */
export function parseWeight(text: string): number | undefined {
  if (text === '0') return undefined
  const weight = weightIn(text)
  if (weight !== undefined) return weight
  throw new DrayError('USAGE', `invalid weight ${JSON.stringify(text)}: write 10 to 1000`)
}

/** Parses `/dev/DEVICE:WEIGHT`. @throws USAGE */
export function parseDeviceWeight(text: string): DeviceWeight {
  const { path, value } = splitDevice(text)
  const weight = weightIn(value)
  if (path !== undefined && weight !== undefined) return { hostPath: normalPath(path), weight }
  const message = `invalid weight ${JSON.stringify(text)}: write /dev/DEVICE:WEIGHT, 10 to 1000, such as /dev/sda:500`
  throw new DrayError('USAGE', message)
}

/** What the kernel takes. */
function weightIn(text: string): number | undefined {
  const weight = /^\d{2,4}$/.test(text) ? Number(text) : 0
  return weight >= 10 && weight <= 1000 ? weight : undefined
}

/** The rates and weights of a container, by the numbers that devices have now. @throws USAGE when there is no such device */
export function blockIoOf(options: ContainerOptions): BlockIo | undefined {
  const { deviceRates = [], deviceWeights = [], blkioWeight: weight } = options
  if (deviceRates.length === 0 && deviceWeights.length === 0 && weight === undefined) {
    return undefined
  }
  const byKind = Object.groupBy(deviceRates, ({ kind }) => kind)
  const rates = Object.entries(byKind).map(([kind, rates]) => [
    kind,
    rates.map(({ hostPath, rate }) => ({ ...numbersAt(hostPath), rate })),
  ])
  return {
    ...Object.fromEntries(rates),
    ...(weight !== undefined && { weight }),
    ...(deviceWeights.length > 0 && { weightDevice: deviceWeights.map(weightOf) }),
  }
}

/** The kernel takes a weight for a device alone where BFQ schedules that. */
function weightOf({ hostPath, weight }: DeviceWeight) {
  const numbers = numbersAt(hostPath)
  const scheduler = `/sys/dev/block/${numbers.major}:${numbers.minor}/queue/scheduler`
  if (readText(scheduler).includes('[bfq]')) return { ...numbers, weight }
  const message = `--blkio-weight-device weighs what BFQ schedules, a whole disk, and ${hostPath} isn't one: echo bfq > ${scheduler}`
  throw new DrayError('USAGE', message)
}

function numbersAt(hostPath: string) {
  const stats = statSync(hostPath, { throwIfNoEntry: false })
  if (stats?.isBlockDevice()) return deviceNumbers(stats.rdev)
  throw new DrayError('USAGE', `${hostPath} is no block device of this host: lsblk lists them`)
}
