/** Media types of image-spec (media-types.md) and of Docker's image manifest, schema 2. */
export const MEDIA_TYPE = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociEmpty: 'application/vnd.oci.empty.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerManifestList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerForeignLayerGzip: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
} as const

/** What OCI calls what Docker has names of its own for. */
const OF_OCI: Readonly<Record<string, string>> = {
  [MEDIA_TYPE.dockerManifest]: MEDIA_TYPE.ociManifest,
  [MEDIA_TYPE.dockerManifestList]: MEDIA_TYPE.ociIndex,
  [MEDIA_TYPE.dockerConfig]: MEDIA_TYPE.ociConfig,
  [MEDIA_TYPE.dockerLayer]: MEDIA_TYPE.ociLayer,
  [MEDIA_TYPE.dockerLayerGzip]: MEDIA_TYPE.ociLayerGzip,
  [MEDIA_TYPE.dockerForeignLayerGzip]:
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
}

/** The media type of OCI for one of Docker's; any other as it is. */
export function ociMediaType(mediaType: string): string {
  return OF_OCI[mediaType] ?? mediaType
}

/** What a client that takes every kind of image sends as `Accept`. */
export const MANIFEST_MEDIA_TYPES: readonly string[] = [
  MEDIA_TYPE.ociManifest,
  MEDIA_TYPE.ociIndex,
  MEDIA_TYPE.dockerManifest,
  MEDIA_TYPE.dockerManifestList,
]

const INDEXES: ReadonlySet<string> = new Set([MEDIA_TYPE.ociIndex, MEDIA_TYPE.dockerManifestList])
const IMAGES: ReadonlySet<string> = new Set([MEDIA_TYPE.ociManifest, MEDIA_TYPE.dockerManifest])
const CONFIGS: ReadonlySet<string> = new Set([MEDIA_TYPE.ociConfig, MEDIA_TYPE.dockerConfig])

/** Whether documents of this type list manifests of their own. */
export function isIndexType(mediaType: string): boolean {
  return INDEXES.has(mediaType)
}

/** Whether documents of this type name one config and its layers. */
export function isImageManifestType(mediaType: string): boolean {
  return IMAGES.has(mediaType)
}

/** Whether a config of this type is that of a container image, and not of another artifact. */
export function isImageConfigType(mediaType: string): boolean {
  return CONFIGS.has(bareMediaType(mediaType))
}

const LAYERS: ReadonlySet<string> = new Set([
  MEDIA_TYPE.ociLayer,
  MEDIA_TYPE.ociLayerGzip,
  MEDIA_TYPE.ociLayerZstd,
  MEDIA_TYPE.dockerLayer,
  MEDIA_TYPE.dockerLayerGzip,
])

/** Whether this is the layer of a container image that anybody may have: a tar, and no attestation or the like. */
export function isImageLayerType(mediaType: string): boolean {
  return LAYERS.has(bareMediaType(mediaType))
}

/** Whether registries need not hold the content of this type (layers under a licence that forbids it). */
export function isNonDistributable(mediaType: string): boolean {
  return (
    mediaType.startsWith('application/vnd.oci.image.layer.nondistributable.v1.tar') ||
    mediaType === MEDIA_TYPE.dockerForeignLayerGzip
  )
}

/** `type/subtype` in lower case, without parameters (RFC 9110, section 8.3.1). */
export function bareMediaType(header: string): string {
  const semicolon = header.indexOf(';')
  return (semicolon < 0 ? header : header.slice(0, semicolon)).trim().toLowerCase()
}
