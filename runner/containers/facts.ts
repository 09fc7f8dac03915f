import { mkdirSync } from 'node:fs'
import { DrayError, errorMessage } from '#oci/error.ts'
import type { Namespace } from '#oci/runtime-spec.ts'
import type { Cgroups } from '../cgroup.ts'
import type { RunnerContext } from '../context.ts'
import { readHostFacts } from '../host-facts.ts'
import type { Reservation } from '../network/reserve.ts'
import type { ContainerOptions } from '../options.ts'
import type { Claim, ContainerRecord } from '../record.ts'
import { findRuntime } from '../runtime.ts'
import { bindFrom } from '../sys.ts'
import { makeUserNamespace } from '../userns/namespace.ts'
import { idMapOf } from '../userns/resolve.ts'
import { requireRunning } from '../verbs/kill.ts'
import { findContainer } from './find.ts'
import type { Container } from './state.ts'

/** Debian's catatonit is not on the PATH. */
const INIT_PROGRAMS = [
  'catatonit',
  '/usr/libexec/podman/catatonit',
  'tini-static',
  'tini',
  'docker-init',
]

/** Looks up, and sets up, what the bundle of a container about to start depends on outside of it. */
export async function launchFacts(
  claim: Claim,
  record: ContainerRecord,
  context: RunnerContext,
  cgroups: Cgroups,
) {
  const { options } = record
  const ids = idMapOf(options)
  if (ids !== undefined) await makeUserNamespace(claim.paths.userNamespace, ids)
  const hasNetwork = options.network !== undefined && options.network !== 'none'
  const network = hasNetwork
    ? await (await import('../network/setup.ts')).setUpNetwork(claim, record, context)
    : { around: {} }
  const namespaces: Partial<Record<Namespace['type'], string>> = {}
  if (ids !== undefined) namespaces.user = claim.paths.userNamespace
  if ('path' in network && network.path !== undefined) namespaces.network = network.path
  for (const type of ['pid', 'ipc', 'uts'] as const) {
    const other = await ownerOf(options[type], context)
    if (other === undefined) continue
    namespaces[type] = `/proc/${requireRunning(other)}/ns/${type}`
    if (type === 'ipc') showSharedMemory(other, claim.paths.shm)
  }
  const reservation: Reservation | undefined =
    'reservation' in network ? network.reservation : undefined
  return {
    ...readHostFacts(cgroups),
    holdLayers: context.holdLayers,
    namespaces,
    shmPath: options.ipc?.startsWith('container:') ? claim.paths.shm : undefined,
    initPath: options.init ? findInit(context.hostEnv.PATH) : undefined,
    around: network.around,
    reservation,
  }
}

/** The container that a namespace is shared with. */
async function ownerOf(
  mode: ContainerOptions['ipc'],
  { root }: RunnerContext,
): Promise<Container | undefined> {
  if (!mode?.startsWith('container:')) return undefined
  return await findContainer(root, mode.slice('container:'.length))
}

/** The host can't be led to it by its path: what is mounted in a container is mounted nowhere else. */
function showSharedMemory(owner: Container, place: string): void {
  const { name, options } = owner.record
  if (options.ipc === 'none' || options.ipc === 'private') {
    const message = `container ${name} shares its memory with nobody (--ipc ${options.ipc}): make it anew with --ipc shareable`
    throw new DrayError('CONTAINER_STATE', message)
  }
  mkdirSync(place, { recursive: true })
  const pid = requireRunning(owner)
  try {
    bindFrom(pid, '/dev/shm', place)
  } catch (cause) {
    const message = `cannot share /dev/shm of container ${name}: ${errorMessage(cause)}`
    throw new DrayError('RUN_FAILED', message, { cause })
  }
}

function findInit(searchPath: string | undefined): string {
  for (const name of INIT_PROGRAMS) {
    const found = findRuntime(name, searchPath)
    if (found !== undefined) return found.path
  }
  throw new DrayError(
    'RUNTIME_UNAVAILABLE',
    'no small first process is installed for --init. Try: apt-get install catatonit',
  )
}
