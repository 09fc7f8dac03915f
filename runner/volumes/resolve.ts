import type { ExecutionConfig } from '#oci/image-config.ts'
import { type ContainerOptions, normalPath, type Volume } from '../options.ts'
import { findContainer } from '../containers/find.ts'
import { makeVolume, removeVolume } from './store.ts'

/** Makes the volumes that options and image ask for, and puts their directories in the place of their names. */
export async function resolveVolumes(
  root: string,
  config: ExecutionConfig,
  options: ContainerOptions,
): Promise<ContainerOptions> {
  const { namedVolumes = [], tmpfs = [], volumesFrom = [] } = options
  const own = [...(options.volumes ?? []), ...namedVolumes, ...tmpfs]
  const others = await volumesOfOthers(root, volumesFrom, pathsOf(own))
  const volumes = [...(options.volumes ?? []), ...others]
  const taken = pathsOf([...own, ...others])
  const ofImage = Object.keys(config.Volumes ?? {})
    .map(normalPath)
    .filter((containerPath) => containerPath !== '/' && !taken.includes(containerPath))
    .map((containerPath) => ({ name: undefined, containerPath, readOnly: false, copiesUp: true }))
  const made: Volume[] = []
  for (const { name, containerPath, readOnly, copiesUp } of [...namedVolumes, ...ofImage]) {
    const isAnonymous = name === undefined
    const volume = await makeVolume(root, name, { isAnonymous })
    const hostPath = volume.mountpoint
    made.push({ hostPath, containerPath, readOnly, name: volume.name, isAnonymous, copiesUp })
  }
  return { ...options, volumes: [...volumes, ...made], namedVolumes: [], volumesFrom: [] }
}

/** Makes anew what was removed of the volumes of a container before its record told that it has them. */
export async function remakeVolumes(root: string, options: ContainerOptions): Promise<void> {
  for (const { name, isAnonymous } of options.volumes ?? []) {
    if (name !== undefined) await makeVolume(root, name, { isAnonymous })
  }
}

/** The volumes of other containers, but for places that are taken: by options, or by a container that is named before. */
async function volumesOfOthers(
  root: string,
  references: readonly string[],
  taken: readonly string[],
): Promise<Volume[]> {
  const found = new Map<string, Volume>()
  for (const text of references) {
    const [, name = text, mode] = /^(.*?)(?::(ro|rw))?$/s.exec(text) ?? []
    const { record } = await findContainer(root, name)
    for (const volume of record.options.volumes ?? []) {
      const { containerPath, readOnly } = volume
      if (taken.includes(containerPath) || found.has(containerPath)) continue
      found.set(containerPath, { ...volume, readOnly: readOnly || mode === 'ro' })
    }
  }
  return [...found.values()]
}

function pathsOf(mounts: readonly { readonly containerPath: string }[]): string[] {
  return mounts.map(({ containerPath }) => containerPath)
}

/** Removes the volumes that were made for one container only. */
export async function dropAnonymousVolumes(root: string, options: ContainerOptions): Promise<void> {
  for (const { name, isAnonymous } of options.volumes ?? []) {
    if (name !== undefined && isAnonymous) await removeVolume(root, name).catch(() => undefined)
  }
}
