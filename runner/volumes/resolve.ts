import type { ExecutionConfig } from '#oci/image-config.ts'
import { type ContainerOptions, normalPath, type Volume } from '../options.ts'
import { makeVolume, removeVolume } from './store.ts'

/** Makes the volumes that options and image ask for, and puts their directories in the place of their names. */
export async function resolveVolumes(
  root: string,
  config: ExecutionConfig,
  options: ContainerOptions,
): Promise<ContainerOptions> {
  const { volumes = [], namedVolumes = [], tmpfs = [] } = options
  const taken = [...volumes, ...namedVolumes, ...tmpfs].map((mount) => mount.containerPath)
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
  return { ...options, volumes: [...volumes, ...made], namedVolumes: [] }
}

/** Removes the volumes that were made for one container only. */
export async function dropAnonymousVolumes(root: string, options: ContainerOptions): Promise<void> {
  for (const { name, isAnonymous } of options.volumes ?? []) {
    if (name !== undefined && isAnonymous) await removeVolume(root, name).catch(() => undefined)
  }
}
