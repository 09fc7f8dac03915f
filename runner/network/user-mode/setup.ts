import { networkInterfaces } from 'node:os'
import type { Claim } from '../../record.ts'
import type { PortMapping } from '../model.ts'
import { reservePorts } from '../reserve.ts'
import type { NetworkSetup } from '../setup.ts'
import { connectUserMode } from './connect.ts'
import { USER_MODE, type UserModeProgram } from './programs.ts'

/**
 * Gives a container a network of its own that a program makes. Ports are chosen, and found free, before the program takes them.
 *
 * @throws NETWORK_FAILED, PORT_TAKEN
 */
export async function setUpUserMode(
  claim: Claim,
  wanted: readonly PortMapping[],
  program: UserModeProgram,
  searchPath: string | undefined,
): Promise<NetworkSetup> {
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
