/** Pulls, pushes and makes images, and keeps them in a local store: the public face of the puller. */
export { type ImageSummary, listImages } from './image/list.ts'
export { openImage, type OpenedImage, pushTarget } from './image/open-image.ts'
export { prepareRootfs } from './image/rootfs.ts'
export { type ImportOptions, type ImportResult, importImage } from './import.ts'
export type { OnProgress, ProgressEvent } from './progress.ts'
export { type PullOptions, type PullResult, pullImage } from './pull.ts'
export { type LocalImage, type PushOptions, type PushResult, pushImage } from './push.ts'
export { openStore, type Store } from './store/store.ts'
