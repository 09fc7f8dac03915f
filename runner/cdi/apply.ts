import { existsSync } from 'node:fs'
import { DrayError } from '#oci/error.ts'
import type { Hook, Hooks } from '#oci/runtime-spec.ts'
import type { Tmpfs, Volume } from '../options.ts'
import { findDevices, type HostDevice } from '../spec/devices.ts'
import type { ContainerUser } from '../user.ts'
import { findCdiEdits } from './find.ts'
import type { CdiEdits, CdiMount, CdiNode } from './parse.ts'

/** What devices of vendors add to a container. */
export interface CdiAdditions {
  readonly env: readonly string[]
  readonly volumes: readonly Volume[]
  readonly tmpfs: readonly Tmpfs[]
  readonly hooks: Hooks
  readonly gids: readonly number[]
  /** The nodes, which belong to the container's user unless something else is said. */
  devicesFor(user: ContainerUser): HostDevice[]
}

const PROPAGATION = /^r?(?:shared|slave|private|unbindable)$/
const KNOWN_BY_ITSELF = /^(?:r?bind|ro|rw|r?(?:shared|slave|private|unbindable))$/

/** Looks up what devices of vendors add to a container. @throws CDI_UNKNOWN, CDI_INVALID */
export async function cdiAdditions(names: readonly string[]): Promise<CdiAdditions> {
  const edits = await findCdiEdits(names)
  const all = <T>(pick: (edit: CdiEdits) => readonly T[] | undefined): T[] =>
    edits.flatMap((edit) => pick(edit) ?? [])
  const mounts = all((edit) => edit.mounts)
  const isMemory = ({ type }: CdiMount) => type === 'tmpfs'
  return {
    env: all((edit) => edit.env),
    volumes: mounts.filter((mount) => !isMemory(mount)).map(volumeOf),
    tmpfs: mounts.filter(isMemory).map(({ containerPath, options = [] }) => ({
      containerPath,
      options,
    })),
    hooks: hooksOf(all((edit) => edit.hooks)),
    gids: all((edit) => edit.additionalGids).filter((gid) => gid > 0),
    devicesFor: (user) => all((edit) => edit.deviceNodes).flatMap((node) => deviceOf(node, user)),
  }
}

function volumeOf({ hostPath, containerPath, type, options = [] }: CdiMount): Volume {
  const isBind = options.some((option) => /^r?bind$/.test(option))
  if (!isBind && type !== undefined && !['bind', 'none', ''].includes(type)) {
    throw new DrayError(
      'CDI_INVALID',
      `a device wants a mount of type ${type}: bind or tmpfs are known`,
    )
  }
  if (!existsSync(hostPath)) {
    throw new DrayError('CDI_INVALID', `a device wants ${hostPath} of the host, which isn't there`)
  }
  return {
    hostPath,
    containerPath,
    readOnly: options.includes('ro'),
    propagation: options.find((option) => PROPAGATION.test(option)),
    mustExist: true,
    flags: options.filter((option) => !KNOWN_BY_ITSELF.test(option)),
  }
}

function hooksOf(hooks: NonNullable<CdiEdits['hooks']>): Hooks {
  const sorted: { -readonly [name in keyof Hooks]: Hook[] } = {}
  for (const { hookName, ...hook } of hooks) {
    sorted[hookName] = [...(sorted[hookName] ?? []), hook]
  }
  return sorted
}

/** What the file doesn't say is as on the host. */
function deviceOf(wanted: CdiNode, user: ContainerUser): HostDevice[] {
  const { path, hostPath = path, major, minor, fileMode, permissions, uid, gid } = wanted
  const type = wanted.type === 'u' ? 'c' : wanted.type || undefined
  const access = permissions === 'none' ? '' : permissions || 'rwm'
  const isWhole = type !== undefined && major !== undefined && minor !== undefined
  const found: readonly HostDevice[] = isWhole
    ? [{ node: { path, type, major, minor, fileMode: 0o666, uid: 0, gid: 0 }, access, hostPath }]
    : findDevices([{ hostPath, containerPath: path, access }])
  return found.map(({ node, ...device }) => ({
    ...device,
    node: {
      ...node,
      fileMode: fileMode ?? node.fileMode,
      uid: uid ?? (user.uid > 0 ? user.uid : node.uid),
      gid: gid ?? (user.gid > 0 ? user.gid : node.gid),
    },
  }))
}
