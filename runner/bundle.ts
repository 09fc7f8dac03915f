import { chmod, chown, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DrayError, isErrno } from '#oci/error.ts'
import type { Rootfs } from '#oci/rootfs.ts'
import type { RuntimeSpec } from '#oci/runtime-spec.ts'
import type { HostFacts } from './host-facts.ts'
import { type ContainerPaths, ETC_FILES } from './layout.ts'
import type { ContainerOptions, PlacedVolume, Volume } from './options.ts'
import { mountOverlay } from './overlay.ts'
import { placeVolume, placeWorkdir, prepareMountPoints } from './preflight.ts'
import type { Claim } from './record.ts'
import { readTextInRoot } from './rootfs-files.ts'
import { buildSpec, commandLine, hostnameOf, wantedUser, wantedWorkdir } from './spec.ts'
import { type ContainerUser, resolveUser } from './user.ts'

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
  host: HostFacts & { readonly hostEnv: Readonly<Record<string, string | undefined>> },
): Promise<RuntimeSpec> {
  const { paths, id } = claim
  const config = rootfs.config.config ?? {}
  commandLine(config, options) // nothing to run: say so before anything is mounted
  await mountRootfs(paths, rootfs.lowerDirs, { volatile: options.autoRemove ?? false })
  prepareMountPoints(paths.merged)
  const volumes = await placeVolumes(paths.merged, options.volumes ?? [])
  const spec = buildSpec(rootfs.config, options, {
    ...host,
    id,
    volumes,
    user: lookUpUser(paths.merged, wantedUser(config, options)),
    workdir: placeWorkdir(paths.merged, wantedWorkdir(config, options), volumes),
    rootPath: paths.merged,
    etcFiles: await writeEtcFiles(paths.dir, hostnameOf(id, options), options.network),
  })
  await writeFile(paths.config, JSON.stringify(spec), { mode: 0o600 })
  return spec
}

/**
 * Mounts a container's root file system, at `merged`. What an earlier run wrote is there again.
 *
 * `volatile` leaves out all waiting for the disk, and with it the right to be mounted a second time.
 *
 * @throws MOUNT_FAILED
 */
export async function mountRootfs(
  paths: ContainerPaths,
  lowerDirs: readonly string[],
  { volatile = false } = {},
): Promise<void> {
  const isNew = (await mkdir(paths.upper, { recursive: true })) !== undefined
  for (const dir of [paths.empty, paths.work, paths.merged]) await mkdir(dir, { recursive: true })
  const lowers = lowerDirs.length === 0 ? [paths.empty] : lowerDirs
  if (isNew) await dressUpper(paths.upper, lowers.at(-1) ?? paths.empty)
  mountOverlay({ ...paths, lowerDirs: lowers, target: paths.merged, volatile })
}

/** The upper directory's owner and mode are those of / inside: the topmost layer's, for whoever isn't root there. */
async function dressUpper(upper: string, top: string): Promise<void> {
  const { uid, gid, mode } = await stat(top)
  await chown(upper, uid, gid)
  await chmod(upper, mode & 0o7777)
}

async function placeVolumes(root: string, volumes: readonly Volume[]): Promise<PlacedVolume[]> {
  const placed: PlacedVolume[] = []
  for (const volume of volumes) {
    await ensureHostPath(volume.hostPath)
    placed.push(await placeVolume(root, volume, volumes))
  }
  return placed
}

/** As docker does, a host path that isn't there becomes a directory. */
async function ensureHostPath(path: string): Promise<void> {
  try {
    await stat(path)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw volumeError(path, error)
    await mkdir(path, { recursive: true }).catch((cause) => {
      throw volumeError(path, cause)
    })
  }
}

function volumeError(path: string, cause: unknown): DrayError {
  return new DrayError('USAGE', `cannot use ${path} as a volume: ${String(cause)}`, { cause })
}

function lookUpUser(root: string, user: string): ContainerUser {
  return resolveUser(user, {
    passwd: readTextInRoot(root, '/etc/passwd', DATABASE_LIMIT) ?? '',
    group: readTextInRoot(root, '/etc/group', DATABASE_LIMIT) ?? '',
  })
}

/** Writes the container's own hosts, hostname and resolv.conf; with the host's network, the host's names hold. */
async function writeEtcFiles(
  dir: string,
  hostname: string,
  network: ContainerOptions['network'],
): Promise<Record<string, string>> {
  const ofHost = async (path: string) =>
    network === 'host' ? await readFile(path, 'utf8').catch(() => '') : ''
  const texts = {
    hosts: `${(await ofHost('/etc/hosts')) || LOCAL_HOSTS}\n127.0.1.1\t${hostname}\n`,
    hostname: `${hostname}\n`,
    'resolv.conf': await ofHost('/etc/resolv.conf'),
  }
  const mounted: Record<string, string> = {}
  for (const name of ETC_FILES) {
    const path = join(dir, name)
    await writeFile(path, texts[name])
    await chmod(path, 0o644) // whatever the umask: users inside read it
    mounted[`/etc/${name}`] = path
  }
  return mounted
}

const LOCAL_HOSTS = '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n'
