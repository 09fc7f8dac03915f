import type { Digest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { IMAGE_CONFIG_LIMIT } from '#oci/image-config.ts'
import { parseManifest } from '#oci/manifest.ts'
import { hostPlatform, type Platform } from '#oci/platform.ts'
import {
  formatReference,
  manifestSelector,
  type Reference,
  type Tag,
  withDefaultTag,
} from '#oci/reference.ts'
import { findPlatform } from './copy/copy.ts'
import { registrySource } from './copy/from-registry.ts'
import { readReferrers, referrerDescriptor } from './copy/referrers.ts'
import { readImageTree } from './copy/tree.ts'
import { checkDocument, type Document } from './image/resolve.ts'
import { accessOf, type RegistryAccess } from './registry/access.ts'
import type { Access, RepositoryClient } from './registry/client.ts'
import { readNames } from './registry/pages.ts'
import { openPlaces } from './registry/places.ts'
import { openSession } from './registry/session.ts'
import { withRetries } from './transfer/retry.ts'

export interface RemoteOptions extends RegistryAccess {
  /** Of an index, the manifest for this platform is meant. Default: what the name stands for. */
  readonly platform?: Platform | undefined
  /** Hears what a person would like to know when it is slow. */
  readonly debug?: ((message: string) => void) | undefined
  readonly signal: AbortSignal
}

/** The tags of a repository, as its registry orders them. @throws IMAGE_UNKNOWN, REGISTRY_UNREACHABLE, REGISTRY_FAILED */
export async function listTags(
  reference: Reference,
  options: RemoteOptions,
): Promise<readonly Tag[]> {
  const { signal } = options
  const client = await openRemote(reference, 'pull', options)
  return await withRetries(() => client.listTags(signal), { signal })
}

/**
 * The names of a registry's repositories, those that it shows.
 *
 * @param registry `host[:port]`
 * @throws IMAGE_UNKNOWN when it has no such list; REGISTRY_UNREACHABLE, REGISTRY_FAILED
 */
export async function listRepositories(
  registry: string,
  options: RemoteOptions,
): Promise<readonly string[]> {
  const { signal } = options
  const host = (await options.hosts?.({ registry }, 'pull'))?.findLast(
    (each) => each.registry === registry,
  )
  const scopes = ['registry:catalog:*']
  const { api, request } = await openSession({ ...options, registry, host, scopes })
  const place = { url: new URL('_catalog', api), request, name: registry }
  const advice = `${registry} has no such list, as Docker Hub, GitHub and others have none: see its web page`
  return await withRetries(() => readNames(place, 'repositories', { advice, signal }), { signal })
}

/** A manifest or index of a registry, byte for byte. @throws IMAGE_UNKNOWN, PLATFORM_UNKNOWN, REGISTRY_UNREACHABLE, REGISTRY_FAILED */
export async function readRemote(reference: Reference, options: RemoteOptions): Promise<Document> {
  const source = await registrySource(reference, options)
  const { platform, signal } = options
  return platform === undefined
    ? source.top
    : await findPlatform(source, source.top, platform, signal)
}

/** The digest of what a name stands for, which no registry counts as a pull. @throws what {@link readRemote} does */
export async function remoteDigest(reference: Reference, options: RemoteOptions): Promise<Digest> {
  const { platform, signal } = options
  if (platform === undefined) {
    const wanted = withDefaultTag(reference)
    const client = await openRemote(wanted, 'pull', options)
    const found = await withRetries(() => client.headManifest(manifestSelector(wanted), signal), {
      signal,
    })
    if (found !== undefined) return found
  }
  return (await readRemote(reference, options)).descriptor.digest
}

/** The image config, byte for byte; of an index, that for this machine unless a platform is given. @throws as {@link readRemote} */
export async function readRemoteConfig(
  reference: Reference,
  options: RemoteOptions,
): Promise<Buffer> {
  const { platform = hostPlatform(), signal } = options
  const source = await registrySource(reference, options)
  const { descriptor, bytes } = await findPlatform(source, source.top, platform, signal)
  const manifest = parseManifest(bytes, descriptor.mediaType)
  if (manifest.kind !== 'image')
    throw new DrayError('MANIFEST_INVALID', `${source.name} is no image, but an index`)
  const { config } = manifest
  if (config.size > IMAGE_CONFIG_LIMIT)
    throw new DrayError('MANIFEST_INVALID', `${config.digest} has ${config.size} bytes: too many`)
  const chunks: Buffer[] = []
  for await (const chunk of source.readBlob(config, 0, signal)) chunks.push(chunk)
  return checkDocument(config, Buffer.concat(chunks))
}

/** Something that refers to an image. */
export interface RemoteReferrer {
  readonly digest: Digest
  readonly artifactType: string | undefined
  readonly annotations: Readonly<Record<string, string>>
  /** The tag of cosign's that it is known by, where its manifest doesn't say what it refers to. */
  readonly tag: Tag | undefined
}

/** Signatures, SBOMs and what else refers to an image, to any of its manifests or to what refers to them. @throws as {@link readRemote} */
export async function listRemoteReferrers(
  reference: Reference,
  options: RemoteOptions,
): Promise<readonly RemoteReferrer[]> {
  const { platform, signal } = options
  const source = await registrySource(reference, options)
  const top =
    platform === undefined ? source.top : await findPlatform(source, source.top, platform, signal)
  const image = await readImageTree(source, top, { signal })
  return (await readReferrers(source, image, signal)).map((referrer) => {
    const { digest, artifactType, annotations = {} } = referrerDescriptor(referrer)
    return { digest, artifactType, annotations, tag: referrer.tag }
  })
}

/** Takes a tag away, or by its digest a manifest with all its tags. @throws USAGE, IMAGE_UNKNOWN, REGISTRY_UNREACHABLE, REGISTRY_FAILED */
export async function removeRemote(reference: Reference, options: RemoteOptions): Promise<void> {
  const { tag, digest } = reference
  const selector = digest ?? tag
  const name = formatReference(reference)
  if (selector === undefined)
    throw new DrayError('USAGE', `say what of ${name} is to go: write ${name}:TAG or @DIGEST`)
  const { signal } = options
  const client = await openRemote(reference, 'delete', options)
  await withRetries(() => client.deleteManifest(selector, signal), { signal })
}

async function openRemote(
  reference: Reference,
  access: Access,
  options: RemoteOptions,
): Promise<RepositoryClient> {
  const { debug, signal } = options
  return await openPlaces(reference, { access, ...accessOf(options), debug, signal })
}
