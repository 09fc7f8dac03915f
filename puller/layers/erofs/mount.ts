import { errnoOf } from '#oci/errno.ts'
import { mountReadOnly, type NamedPath, nameForOptions, openLoopDevice } from '../../mounting.ts'

/** From what the kernel mounts an image: plain files (Linux 6.12), or block devices over them. */
export type MountSource = 'file' | 'loop'

/** The two files of a layer, and the directory where its tree is to be seen. */
export interface LayerImage {
  readonly image: string
  readonly tar: string
  readonly target: string
}

/**
 * Mounts a layer's image over its tar. Needs root.
 *
 * @param wanted default: files, and loop devices where the kernel doesn't know how
 * @returns from what it was mounted
 * @throws SYSCALL_FAILED and errors of `node:fs`
 */
export function mountLayerImage(layer: LayerImage, wanted?: MountSource): MountSource {
  try {
    mountFrom(layer, wanted ?? 'file')
    return wanted ?? 'file'
  } catch (error) {
    // "not a block device"
    if (wanted !== undefined || errnoOf(error) !== 'ENOTBLK') throw error
    mountFrom(layer, 'loop')
    return 'loop'
  }
}

function mountFrom(layer: LayerImage, source: MountSource): void {
  const opened = [openSource(layer.image, source), openSource(layer.tar, source)] as const
  try {
    const [image, tar] = opened
    mountReadOnly('erofs', image.path, layer.target, `device=${tar.path}`)
  } finally {
    for (const { close } of opened) close()
  }
}

function openSource(file: string, source: MountSource): NamedPath {
  return source === 'loop' ? openLoopDevice(file) : nameForOptions(file)
}
