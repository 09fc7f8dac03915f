import { accessSync, constants } from 'node:fs'
import { isErrno } from '#oci/error.ts'
import { isInUserNamespace } from '#oci/user-namespace.ts'
import { findRuntime } from '../../runtime.ts'
import type { PortMapping } from '../model.ts'

/**
 * Programs that connect a network namespace with the host's network by connections of their own, for whoever has no rights over
 * the latter; the better one first. Their names are those of the networks that they make.
 */
export const USER_MODE_PROGRAMS = ['pasta', 'slirp4netns'] as const

export type UserModeProgram = (typeof USER_MODE_PROGRAMS)[number]

export function isUserModeProgram(name: string): name is UserModeProgram {
  return USER_MODE_PROGRAMS.some((program) => program === name)
}

/** What a network of one container alone looks like from inside, whichever program makes it. */
export const USER_MODE = {
  address: '10.0.2.100',
  bits: 24,
  gateway: '10.0.2.2',
  /** Asks the host's name servers, also those on its loopback device. */
  nameserver: '10.0.2.3',
} as const

/** The first of the programs that is installed. */
export function chooseUserMode(searchPath: string | undefined): UserModeProgram | undefined {
  return USER_MODE_PROGRAMS.find((name) => findRuntime(name, searchPath) !== undefined)
}

/** What keeps the programs from the device that they all read packets from; undefined if nothing does. */
export function whyNoTun(device = '/dev/net/tun'): string | undefined {
  try {
    accessSync(device, constants.R_OK | constants.W_OK)
    return undefined
  } catch (error) {
    return isErrno(error, 'ENOENT')
      ? `There is no ${device}: let root load it with modprobe tun`
      : `${device} is not open to this user: let root say chmod 666 ${device}`
  }
}

/**
 * Arguments of pasta(1), which goes on in the background. Nothing on the host's loopback device can be reached through it but its
 * name server.
 */
export function pastaArguments(namespace: string, ports: readonly PortMapping[]): string[] {
  const { address, bits, gateway, nameserver } = USER_MODE
  return [
    // It gives root up by itself, and then can't open the namespace.
    ...(isInUserNamespace() ? [] : ['--runas', '0']),
    ...['--config-net', '--quiet', '--no-map-gw', '--dns-forward', nameserver],
    ...['--address', address, '--netmask', String(bits), '--gateway', gateway],
    ...forwards('-t', 'tcp', ports),
    ...forwards('-u', 'udp', ports),
    ...['-T', 'none', '-U', 'none', '--netns', namespace],
  ]
}

function forwards(
  flag: string,
  wanted: PortMapping['protocol'],
  ports: readonly PortMapping[],
): string[] {
  const ours = ports.filter(({ protocol }) => protocol === wanted)
  if (ours.length === 0) return [flag, 'none']
  return ours.flatMap(({ hostIp, hostPort, containerPort }) => {
    const address = hostIp === undefined ? '' : `${hostIp}/`
    return [flag, `${address}${hostPort}:${containerPort}`]
  })
}

/** Arguments of slirp4netns(1), which says by descriptor 3 that it is ready and takes ports by a socket. */
export function slirpArguments(namespace: string, socket: string): string[] {
  return [
    ...['--configure', '--mtu=65520', '--disable-host-loopback', '--enable-seccomp'],
    ...['--ready-fd=3', `--api-socket=${socket}`, '--netns-type=path', namespace, 'eth0'],
  ]
}

/** What asks slirp4netns for a port. */
export function slirpRequest({ hostIp, hostPort, containerPort, protocol }: PortMapping): string {
  return JSON.stringify({
    execute: 'add_hostfwd',
    arguments: {
      proto: protocol,
      host_addr: hostIp ?? '0.0.0.0',
      host_port: hostPort,
      guest_addr: USER_MODE.address,
      guest_port: containerPort,
    },
  })
}
