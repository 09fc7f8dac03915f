import { lstatSync, readdirSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'
import { DrayError } from '#oci/error.ts'
import type { DeviceNode, DeviceRule } from '#oci/runtime-spec.ts'
import { type Device, normalPath } from '../options.ts'

/** A device node of the host, and what may be done with it. */
export interface HostDevice {
  readonly node: DeviceNode
  readonly access: string
  /** Where the host has it. */
  readonly hostPath: string
}

/** Whether a device is to be mounted from the host: root of a user namespace can't make it under another name. */
export function isMounted({ node, hostPath }: HostDevice): boolean {
  return node.path !== hostPath
}

/** Made by the runtime, of its own, or not of this container. */
const NOT_FROM_HOST = [
  'pts',
  'shm',
  'mqueue',
  'console',
  'fd',
  'stdin',
  'stdout',
  'stderr',
  'core',
  'ptmx',
]

/** Parses `HOST[:CONTAINER][:rwm]`. @throws USAGE */
export function parseDevice(text: string): Device {
  const [hostPath = '', ...rest] = text.split(':')
  const access = rest.find((part) => /^[rwm]{1,3}$/.test(part)) ?? 'rwm'
  const inside = rest.find((part) => part.startsWith('/')) ?? hostPath
  const isRight = hostPath.startsWith('/') && rest.length <= 2
  if (isRight && rest.every((part) => part === access || part === inside)) {
    return { hostPath: normalPath(hostPath), containerPath: normalPath(inside), access }
  }
  throw new DrayError(
    'USAGE',
    `invalid device ${JSON.stringify(text)}: write /dev/HOST[:/dev/INSIDE][:rwm], or VENDOR/CLASS=NAME for one of /etc/cdi`,
  )
}

/** Parses `TYPE MAJOR:MINOR ACCESS` of cgroups (v1), `*` for any number; `a *:* rwm` is all devices. @throws USAGE */
export function parseDeviceRule(text: string): DeviceRule {
  const match = /^(?:a \*:\*|([bc]) (\d{1,10}|\*):(\d{1,10}|\*)) ([rwm]{1,3})$/.exec(text)
  if (match === null) {
    throw new DrayError(
      'USAGE',
      `invalid rule ${JSON.stringify(text)} for devices: write TYPE MAJOR:MINOR ACCESS, such as "c 189:* rwm" or "b 8:0 r"`,
    )
  }
  const [, type = 'a', major = '*', minor = '*', access = ''] = match
  return {
    allow: true,
    access,
    type: type as DeviceRule['type'],
    ...(major !== '*' && { major: Number(major) }),
    ...(minor !== '*' && { minor: Number(minor) }),
  }
}

/** A rule as it is typed. */
export function formatDeviceRule({ type, major, minor, access }: DeviceRule): string {
  return `${type ?? 'a'} ${major ?? '*'}:${minor ?? '*'} ${access}`
}

/** Looks up devices of the host; a directory stands for those in it. @throws USAGE when there is none */
export function findDevices(devices: readonly Device[]): HostDevice[] {
  return devices.flatMap(({ hostPath, containerPath, access }) => {
    const found = nodesUnder(hostPath, containerPath).map((found) => ({ ...found, access }))
    if (found.length > 0) return found
    throw new DrayError('USAGE', `${hostPath} is no device of this host`)
  })
}

/** All devices of the host. */
export function allDevices(): HostDevice[] {
  return readdirSync('/dev')
    .filter((name) => !NOT_FROM_HOST.includes(name))
    .flatMap((name) => nodesUnder(`/dev/${name}`, `/dev/${name}`))
    .map((found) => ({ ...found, access: 'rwm' }))
}

/** The rule that lets a container use a device. */
export function ruleOf({ node, access }: HostDevice): DeviceRule {
  const { type, major, minor } = node
  return { allow: true, access, type: type === 'b' ? 'b' : 'c', major, minor }
}

function nodesUnder(hostPath: string, containerPath: string): Omit<HostDevice, 'access'>[] {
  const stats = statSync(hostPath, { throwIfNoEntry: false })
  if (stats === undefined) return []
  const node = nodeOf(containerPath, stats)
  if (node !== undefined) return [{ node, hostPath }]
  if (!stats.isDirectory() || lstatSync(hostPath).isSymbolicLink()) return []
  return readdirSync(hostPath).flatMap((name) =>
    nodesUnder(join(hostPath, name), join(containerPath, name)),
  )
}

/** The layout of glibc's major(3) and minor(3), as far as Node's numbers go. */
export function deviceNumbers(rdev: number): { readonly major: number; readonly minor: number } {
  return { major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) }
}

function nodeOf(path: string, stats: Stats): DeviceNode | undefined {
  const type = stats.isBlockDevice() ? 'b' : stats.isCharacterDevice() ? 'c' : undefined
  if (type === undefined) return undefined
  const { rdev, mode, uid, gid } = stats
  return { path, type, ...deviceNumbers(rdev), fileMode: mode & 0o777, uid, gid }
}
