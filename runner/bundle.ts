import { chmodSync, chownSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { chown, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DrayError, errorMessage, isErrno } from '#oci/error.ts'
import { makeDirs } from '#oci/make-dirs.ts'
import type { Rootfs } from '#oci/rootfs.ts'
import type { RuntimeSpec } from '#oci/runtime-spec.ts'
import type { CdiAdditions } from './cdi/apply.ts'
import type { RunnerContext } from './context.ts'
import type { HostFacts } from './host-facts.ts'
import { type Surroundings, writeEtcFiles } from './etc-files.ts'
import { type ContainerPaths, etcFilesOf } from './layout.ts'
import type { ContainerOptions, PlacedVolume, Volume } from './options.ts'
import { mountOverlay } from './overlay.ts'
import { placeTmpfs, placeVolume, placeWorkdir, prepareMountPoints } from './preflight.ts'
import type { Claim } from './record.ts'
import { readTextInRoot } from './rootfs-files.ts'
import {
  buildSpec,
  commandLine,
  hostnameOf,
  type SpecFacts,
  wantedUser,
  wantedWorkdir,
} from './spec.ts'
import { blockIoOf } from './spec/block-io.ts'
import { allDevices, findDevices } from './spec/devices.ts'
import { limitsHeld, specText } from './spec/limits.ts'
import { unmount } from './sys.ts'
import { type IdMap, ownerOutside } from './userns/id-map.ts'
import { checkMapped, idMapOf } from './userns/resolve.ts'
import { mapVolume, mountMappedRootfs, showRootfs } from './userns/rootfs.ts'
import { type ContainerUser, resolveUser, withGroups } from './user.ts'
import { copyUp } from './volumes/copy-up.ts'

/** More than any distribution's user database; a hostile one must not fill the memory. */
const DATABASE_LIMIT = 4 * 1024 * 1024

/**
 * Makes the bundle of a container (runtime-spec, bundle.md): mounts the root file system, prepares it, looks up what
 * the spec needs in it and writes config.json.
 *
 * @throws MOUNT_FAILED, USER_UNKNOWN, USAGE, IMAGE_CONFIG_INVALID, RUN_FAILED
 */
export async function makeBundle(
  claim: Claim,
  rootfs: Rootfs,
  options: ContainerOptions,
  host: BundleFacts & Pick<RunnerContext, 'holdLayers'>,
): Promise<RuntimeSpec> {
  commandLine(rootfs.config.config ?? {}, options) // nothing to run: say so before anything is mounted
  const layers = await host.holdLayers?.(rootfs.lowerDirs)
  try {
    return await prepare(claim, rootfs, options, host)
  } finally {
    await layers?.release()
  }
}

type BundleFacts = HostFacts &
  Pick<SpecFacts, 'namespaces' | 'initPath' | 'shmPath'> & { readonly around: Surroundings }

async function prepare(
  { paths, id }: Claim,
  rootfs: Rootfs,
  options: ContainerOptions,
  host: BundleFacts,
): Promise<RuntimeSpec> {
  const config = rootfs.config.config ?? {}
  const volatile = options.autoRemove ?? false
  mountRootfs(paths, rootfs.lowerDirs, { volatile })
  prepareMountPoints(paths.merged, etcFilesOf(options))
  const added = await additionsOf(options)
  const { volumes = [], env = [], inheritedEnv = [] } = options
  const placed = await placeVolumes(paths.merged, [...volumes, ...(added?.volumes ?? [])])
  const wantedTmpfs = [...(options.tmpfs ?? []), ...(added?.tmpfs ?? [])]
  const tmpfs = wantedTmpfs.map((mount) => placeTmpfs(paths.merged, mount))
  const found = lookUpUser(paths.merged, wantedUser(config, options), options.groups)
  const user = { ...found, additionalGids: [...found.additionalGids, ...(added?.gids ?? [])] }
  const facts = {
    ...host,
    id,
    user,
    workdir: placeWorkdir(paths.merged, wantedWorkdir(config, options), [...placed, ...tmpfs]),
    etcFiles: writeEtcFiles(paths.dir, hostnameOf(id, options), options, host.around),
    devices: options.privileged
      ? allDevices()
      : [...findDevices(options.devices ?? []), ...(added?.devicesFor(user) ?? [])],
    hooks: added?.hooks,
    blockIo: blockIoOf(limitsHeld(options, host.controllers)),
    volumes: placed,
    rootPath: paths.merged,
  }
  const idMap = idMapOf(options)
  const lowerDirs = lowersOf(paths, rootfs.lowerDirs)
  const spec = buildSpec(
    rootfs.config,
    { ...options, tmpfs, env: [...inheritedEnv, ...env, ...(added?.env ?? [])] },
    {
      ...facts,
      ...(idMap !== undefined && (await mapIds(paths, facts, { idMap, lowerDirs, volatile }))),
    },
  )
  writeFileSync(paths.config, specText(spec), { mode: 0o600 })
  return spec
}

/** What vendors' devices need is loaded for containers that have one. */
async function additionsOf({
  cdiDevices = [],
}: ContainerOptions): Promise<CdiAdditions | undefined> {
  if (cdiDevices.length === 0) return undefined
  const { cdiAdditions } = await import('./cdi/apply.ts')
  return await cdiAdditions(cdiDevices)
}

/** Nothing that was prepared is in use yet; what is mounted now has the container's ids, and only its root can write there. */
async function mapIds(
  paths: ContainerPaths,
  facts: Pick<SpecFacts, 'user' | 'etcFiles' | 'volumes'>,
  options: {
    readonly idMap: IdMap
    readonly lowerDirs: readonly string[]
    readonly volatile: boolean
  },
): Promise<Pick<SpecFacts, 'idMap' | 'volumes' | 'rootPath'>> {
  const { idMap, lowerDirs, volatile } = options
  checkMapped(idMap, facts.user)
  const { uid, gid } = ownerOutside(idMap, { uid: 0, gid: 0 })
  for (const path of Object.values(facts.etcFiles)) await chown(path, uid, gid)
  unmount(paths.merged)
  await mountMappedRootfs(paths, lowerDirs, { map: idMap, volatile })
  const volumes = facts.volumes.map((volume, at) => mapVolume(paths, volume, at))
  return { idMap, volumes, rootPath: showRootfs(paths, idMap) }
}

/** Overlay wants one. */
function lowersOf({ empty }: ContainerPaths, lowerDirs: readonly string[]): readonly string[] {
  return lowerDirs.length === 0 ? [empty] : lowerDirs
}

/**
 * Mounts a container's root file system, at `merged`. What an earlier run wrote is there again.
 *
 * `volatile` leaves out all waiting for the disk, and with it the right to be mounted a second time.
 *
 * @throws MOUNT_FAILED
 */
export function mountRootfs(
  paths: ContainerPaths,
  lowerDirs: readonly string[],
  { volatile = false } = {},
): void {
  const isNew = mkdirSync(paths.upper, { recursive: true }) !== undefined
  for (const dir of [paths.empty, paths.work, paths.merged]) mkdirSync(dir, { recursive: true })
  const lowers = lowersOf(paths, lowerDirs)
  if (isNew) dressUpper(paths.upper, lowers.at(-1) ?? paths.empty)
  mountOverlay({ ...paths, lowerDirs: lowers, target: paths.merged, volatile })
}

/** The upper directory's owner and mode are those of / inside: the topmost layer's, for whoever isn't root there. */
function dressUpper(upper: string, top: string): void {
  const { uid, gid, mode } = statSync(top)
  chownSync(upper, uid, gid)
  chmodSync(upper, mode & 0o7777)
}

async function placeVolumes(root: string, volumes: readonly Volume[]): Promise<PlacedVolume[]> {
  const placed: PlacedVolume[] = []
  for (const volume of volumes) {
    if (volume.name === undefined && !volume.mustExist) await ensureHostPath(volume.hostPath)
    const there = await placeVolume(root, volume, volumes)
    if (volume.copiesUp) await copyUp(join(root, there.containerPath), volume.hostPath)
    placed.push(there)
  }
  return placed
}

/** As docker does, a host path that isn't there becomes a directory. */
async function ensureHostPath(path: string): Promise<void> {
  try {
    await stat(path)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw volumeError(path, error)
    try {
      makeDirs(path)
    } catch (cause) {
      throw volumeError(path, cause)
    }
  }
}

function volumeError(path: string, cause: unknown): DrayError {
  return new DrayError('USAGE', `cannot use ${path} as a volume: ${errorMessage(cause)}`, { cause })
}

/** Looks up `USER[:GROUP]`, and more groups, in the databases of a root file system. @throws USER_UNKNOWN */
export function lookUpUser(
  root: string,
  user: string,
  groups: readonly string[] = [],
): ContainerUser {
  const databases = {
    passwd: readTextInRoot(root, '/etc/passwd', DATABASE_LIMIT) ?? '',
    group: readTextInRoot(root, '/etc/group', DATABASE_LIMIT) ?? '',
  }
  return withGroups(resolveUser(user, databases), groups, databases)
}
