/**
 * `dray/puller`, the library: pulls, pushes, copies and makes images, and keeps them in a local store. Nothing here reads the
 * environment, prints, or ends the process; what went wrong is a {@link DrayError} with a code.
 */
export type { Descriptor } from '#oci/descriptor.ts'
export type { Digest } from '#oci/digest.ts'
export { DrayError, type ErrorCode, isDrayError } from '#oci/error.ts'
export type { ExecutionConfig, ImageConfig } from '#oci/image-config.ts'
export { formatPlatform, hostPlatform, parsePlatform, type Platform } from '#oci/platform.ts'
export { formatReference, parseReference, type Reference } from '#oci/reference.ts'
export type { Rootfs } from '#oci/rootfs.ts'
export type { CopyOptions, CopyResult } from './copy/copy.ts'
export { type CopyPlaces, copyImage, type Location, parseLocation } from './copy/locations.ts'
export type { Credential, FindCredential } from './credentials/credential.ts'
export { authFiles, credentialFinder } from './credentials/find.ts'
export {
  type CompressionFormat,
  type LayerCompression,
  parseCompression,
} from './image/compression.ts'
export { describeImage } from './image/describe.ts'
export { type ImageSummary, listImages } from './image/list.ts'
export { type OpenedImage, openImage } from './image/open-image.ts'
export { type RecompressOptions, recompressImage } from './image/recompress.ts'
export { prepareRootfs } from './image/rootfs.ts'
export { type ImportOptions, type ImportResult, importImage } from './import.ts'
export { type LoadedImage, type LoadOptions, loadImages } from './load.ts'
export { hostFinder, type HostSettings, hostSettings } from './mirrors/find-hosts.ts'
export { limitFiles, readLimits } from './mirrors/host-limits.ts'
export type { OnProgress, ProgressEvent } from './progress.ts'
export { type FindProxy, proxyFinder } from './proxy/find-proxy.ts'
export { type PullOptions, type PullResult, pullImage } from './pull.ts'
export { blobsHeldBy, type LocalImage, type PushOptions, pushImage } from './push.ts'
export type { RegistryAccess } from './registry/access.ts'
export type { FindLimits, HostLimits } from './registry/remote-host.ts'
export { type ImageUser, type RemovedImage, removeImage } from './remove.ts'
export { type SaveOptions, saveImages } from './save.ts'
export { removeGarbage } from './store/garbage.ts'
export type { Lease } from './store/lease.ts'
export { type HeldLayers, holdLayers } from './store/mounts.ts'
export { type LayerStore, openStore, type Store, type StoreOptions } from './store/store.ts'
export { tagImage } from './tag.ts'
