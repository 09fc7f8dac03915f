import { DrayError } from '#oci/error.ts'
import type { Namespace } from '#oci/runtime-spec.ts'
import type { Cgroups } from '../cgroup.ts'
import type { RunnerContext } from '../context.ts'
import { readHostFacts } from '../host-facts.ts'
import type { Reservation } from '../network/reserve.ts'
import type { SharedNamespace } from '../options.ts'
import type { Claim, ContainerRecord } from '../record.ts'
import { findRuntime } from '../runtime.ts'
import { makeUserNamespace } from '../userns/namespace.ts'
import { idMapOf } from '../userns/resolve.ts'
import { requireRunning } from '../verbs/kill.ts'
import { findContainer } from './find.ts'

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
    const path = await sharedPath(options[type], type, context)
    if (path !== undefined) namespaces[type] = path
  }
  const reservation: Reservation | undefined =
    'reservation' in network ? network.reservation : undefined
  return {
    ...readHostFacts(cgroups),
    holdLayers: context.holdLayers,
    namespaces,
    initPath: options.init ? findInit(context.hostEnv.PATH) : undefined,
    around: network.around,
    reservation,
  }
}

async function sharedPath(
  mode: SharedNamespace | 'none' | undefined,
  type: 'pid' | 'ipc' | 'uts',
  context: RunnerContext,
): Promise<string | undefined> {
  if (mode === undefined || mode === 'none' || mode === 'host') return undefined
  const other = await findContainer(context.root, mode.slice('container:'.length))
  return `/proc/${requireRunning(other)}/ns/${type}`
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
