import { networkInterfaces } from 'node:os'
import { DrayError } from '#oci/error.ts'
import type { Claim } from '../../record.ts'
import type { PortMapping } from '../model.ts'
import { reservePorts } from '../reserve.ts'
import type { NetworkSetup } from '../setup.ts'
import { connectUserMode } from './connect.ts'
import { USER_MODE, USER_MODE_PROGRAMS } from './programs.ts'

/**
 * Gives a container of an ordinary user a network of its own. Ports are chosen, and found free, before the program takes them.
 *
 * @throws NETWORK_FAILED, PORT_TAKEN
 */
export async function setUpUserMode(
  claim: Claim,
  wanted: readonly PortMapping[],
  names: readonly string[],
  searchPath: string | undefined,
): Promise<NetworkSetup> {
  const program = USER_MODE_PROGRAMS.find((name) => name === names[0])
  if (program === undefined || names.length > 1) {
    const message = `network ${names.join(', ')} is of bridges, which only root can make: use --network ${USER_MODE_PROGRAMS.join(' or ')}, host or none`
    throw new DrayError('NETWORK_FAILED', message)
  }
  const { ports, release } = await reservePorts(wanted)
  release()
  const path = await connectUserMode(claim.paths, { program, ports }, searchPath)
  const { address, nameserver } = USER_MODE
  return {
    path,
    around: {
      addresses: [address],
      isIsolated: true,
      nameservers: [nameserver],
      gateway: hostAddress(),
    },
  }
}

/** Where containers reach the host: on no loopback device, which is not theirs. */
function hostAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address
}
