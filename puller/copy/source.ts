import type { Descriptor } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'
import type { Tag } from '#oci/reference.ts'
import type { Document } from '../image/resolve.ts'
import type { FindProxy } from '../proxy/find-proxy.ts'
import type { RepositoryClient } from '../registry/client.ts'

/** An image where it is now. Bytes of blobs are unverified; manifests have been checked against their digests. */
export interface ImageSource {
  /** What the image's name stands for. */
  readonly top: Document
  /** For errors. */
  readonly name: string
  /** A manifest or index. Undefined when it isn't there, as with some of the platforms of an index. */
  readManifest(descriptor: Descriptor, signal: AbortSignal): Promise<Buffer | undefined>
  /** Bytes of a blob from `start` to its end. @throws LAYOUT_INVALID when it isn't there; REGISTRY_FAILED, ... */
  readBlob(blob: Descriptor, start: number, signal: AbortSignal): AsyncIterable<Buffer>
  /** What is known to refer to a manifest: signatures, SBOMs and other artifacts. */
  listReferrers(subject: Digest, signal: AbortSignal): Promise<readonly Descriptor[]>
  /** What has this tag, beside the image. Undefined when there is nothing. */
  readTagged(tag: Tag, signal: AbortSignal): Promise<Document | undefined>
  /** The registry that it is in, for those who can read from it faster. */
  readonly client?: RepositoryClient | undefined
  /** The proxies by which its host is reached. */
  readonly proxy?: FindProxy | undefined
}
