import { closeSync, constants, openSync } from 'node:fs'
import { mountReadOnly, openLoopDevice } from '../../mounting.ts'

/** From what the kernel mounts an image: plain files (Linux 6.12), or block devices over them. */
export type MountSource = 'file' | 'loop'

/** The two files of a layer, and the directory where its tree is to be seen. */
export interface LayerImage {
  readonly image: string
  readonly tar: string
  readonly target: string
}

/** Mounts a layer's image over its tar. Needs root. @throws SYSCALL_FAILED and errors of `node:fs` */
export function mountLayerImage(layer: LayerImage, source: MountSource): void {
  const opened = [openSource(layer.image, source), openSource(layer.tar, source)] as const
  try {
    const [image, tar] = opened
    mountReadOnly('erofs', image.path, layer.target, `device=${tar.path}`)
  } finally {
    for (const { close } of opened) close()
  }
}

interface OpenedSource {
  readonly path: string
  close(): void
}

function openSource(file: string, source: MountSource): OpenedSource {
  return source === 'loop' ? openLoopDevice(file) : namedForOptions(file)
}

/** A comma ends an option: a path that has one goes by its descriptor. */
function namedForOptions(file: string): OpenedSource {
  if (/^[\w/.@+-]+$/.test(file)) return { path: file, close: () => undefined }
  const fd = openSync(file, constants.O_RDONLY)
  return { path: `/proc/self/fd/${fd}`, close: () => closeSync(fd) }
}
