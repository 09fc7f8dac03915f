import { type Digest, isDigest } from '#oci/digest.ts'
import { DrayError, errorMessage, isDrayError } from '#oci/error.ts'
import type { Reference } from '#oci/reference.ts'
import type { Capability, RegistryHost } from '../mirrors/registry-host.ts'
import type { RegistryAccess } from './access.ts'
import { openRepository, type RepositoryClient, type RepositoryOptions } from './client.ts'
import { createRemoteHost, type RemoteHost } from './remote-host.ts'

export interface PlacesOptions
  extends RegistryAccess,
    Pick<RepositoryOptions, 'access' | 'mountFrom' | 'stallTimeoutMs' | 'signal'> {
  /** Hears which place is used, and why another one is not. */
  readonly debug?: ((message: string) => void) | undefined
}

/**
 * Opens a repository wherever the settings of this machine say that it can be had: mirrors are asked in their order, and the
 * registry itself where none of them has what is wanted. What is pushed goes to one place, the first that takes it.
 *
 * @throws REGISTRY_UNREACHABLE, CONFIG_INVALID, DENIED
 */
export async function openPlaces(
  { registry, repository, digest }: Reference,
  options: PlacesOptions,
): Promise<RepositoryClient> {
  const { access, hosts: find, debug, limits } = options
  const need = access === 'pull' ? 'pull' : 'push'
  const all = await find?.({ registry, repository, digest }, need)
  const hosts = all?.filter(({ capabilities }) => capabilities.includes(need))
  const remotes = new Map<string, RemoteHost>()
  const remoteOf = (name: string) => {
    const remote = remotes.get(name) ?? createRemoteHost(name, limits?.(name))
    remotes.set(name, remote)
    return remote
  }
  const open = (host: RegistryHost | undefined) =>
    openRepository({
      ...options,
      registry: host?.registry ?? registry,
      repository: host?.repository ?? repository,
      plainHttp: options.plainHttp === true && (host === undefined || host.registry === registry),
      host,
      remote: remoteOf(host?.registry ?? registry),
    })
  if (hosts === undefined) return await open(undefined)
  const [first, ...others] = hosts
  if (first === undefined) {
    throw new DrayError(
      'CONFIG_INVALID',
      `the settings of ${registry} on this machine name no host to ${need}: see hosts.toml`,
    )
  }
  if (others.length === 0 || need === 'push') return await open(first)
  const places = hosts.map((host) => createPlace(host, remoteOf(host.registry), () => open(host)))
  return createFailover(places, { name: `${registry}/${repository}`, debug })
}

/** One of several places of a repository. */
interface Place {
  readonly name: string
  readonly remote: RemoteHost
  readonly capabilities: readonly Capability[]
  /** Opened when it is first needed, and again when that failed. */
  client(): Promise<RepositoryClient>
  /** Asked after all others, for it failed. */
  isDown: boolean
  isUsed: boolean
  /** Blobs that came from it. */
  readonly served: Set<Digest>
}

function createPlace(
  host: RegistryHost,
  remote: RemoteHost,
  open: () => Promise<RepositoryClient>,
): Place {
  let opened: Promise<RepositoryClient> | undefined
  return {
    name: host.api?.host ?? host.registry,
    remote,
    capabilities: host.capabilities,
    client() {
      opened ??= open().catch((error: unknown) => {
        opened = undefined
        throw error
      })
      return opened
    },
    isDown: false,
    isUsed: false,
    served: new Set(),
  }
}

interface FailoverOptions {
  readonly name: string
  readonly debug?: ((message: string) => void) | undefined
}

/** @param places the last of which is the registry itself */
function createFailover(
  places: readonly Place[],
  { name, debug }: FailoverOptions,
): RepositoryClient {
  const own = places.at(-1) as Place
  let trusted = places

  /** Asks one place after the other until one has an answer; those that failed before come last. */
  async function ask<T>(
    candidates: readonly Place[],
    question: (client: RepositoryClient, place: Place) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const failures: string[] = []
    const order = [...candidates.filter(isUp), ...candidates.filter((place) => !isUp(place))]
    for (const [at, place] of order.entries()) {
      try {
        const answer = await question(await place.client(), place)
        if (!place.isUsed) debug?.(`${name} comes from ${place.name}`)
        place.isUsed = true
        return answer
      } catch (error) {
        signal?.throwIfAborted()
        place.isDown ||= !isAboutContent(error)
        if (at === order.length - 1) throw withOthers(error, failures)
        failures.push(`${place.name}: ${errorMessage(error)}`)
        debug?.(`${name}: not from ${place.name}: ${errorMessage(error)}`)
      }
    }
    throw new DrayError(
      'CONFIG_INVALID',
      `no host of ${name} on this machine can say what a tag is`,
    )
  }

  const able = (selector: string) =>
    isDigest(selector)
      ? trusted
      : trusted.filter(({ capabilities }) => capabilities.includes('resolve'))

  async function headManifest(selector: string, signal?: AbortSignal): Promise<Digest | undefined> {
    for (const place of able(selector).filter(isUp)) {
      const found = await headAt(place, selector, signal)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** By its digest, a mirror that may not say what a tag is can have what it stands for. */
  async function getManifest(selector: string, signal?: AbortSignal) {
    const digest =
      able(selector).length < trusted.length ? await headManifest(selector, signal) : undefined
    const known = digest ?? selector
    return await ask(able(known), (client) => client.getManifest(known, signal), signal)
  }

  return {
    get host() {
      return (trusted.find(isUp) ?? own).remote
    },

    getManifest,
    headManifest,

    openBlob: (blob, range, signal, broken) =>
      ask(
        [
          ...trusted.filter((place) => place.name !== broken),
          ...trusted.filter((place) => place.name === broken),
        ],
        async (client, place) => {
          const response = await client.openBlob(blob, range, signal)
          place.served.add(blob.digest)
          return { ...response, source: { ...response.source, place: place.name } }
        },
        signal,
      ),

    distrust(digest) {
      const better = trusted.filter((place) => place === own || !place.served.has(digest))
      const isLess = better.length < trusted.length
      if (isLess) debug?.(`${name}: a mirror sent wrong bytes of ${digest}, and is asked no more`)
      trusted = better
      return isLess
    },

    hasBlob: (digest, signal) => ask(trusted, (client) => client.hasBlob(digest, signal), signal),
    getReferrers: (subject, signal) =>
      ask(trusted, (client) => client.getReferrers(subject, signal), signal),
    // A mirror knows what was asked of it before, no more.
    listTags: async (signal) => (await own.client()).listTags(signal),
    deleteManifest: () => Promise.reject(readOnly(name)),
    uploadBlob() {
      throw readOnly(name)
    },
    putManifest: () => Promise.reject(readOnly(name)),
  }
}

const isUp = (place: Place) => !place.isDown

/** The digest of a tag at a place; undefined when it has none, or fails. */
async function headAt(
  place: Place,
  selector: string,
  signal: AbortSignal | undefined,
): Promise<Digest | undefined> {
  try {
    return await (await place.client()).headManifest(selector, signal)
  } catch {
    signal?.throwIfAborted()
    place.isDown = true
    return undefined
  }
}

/** Whether a place works, and only lacks this or has it wrong. */
function isAboutContent(error: unknown): boolean {
  if (isDrayError(error, 'IMAGE_UNKNOWN', 'CONTENT_MISMATCH')) return true
  const detail = isDrayError(error) ? (error.detail as { readonly status?: number }) : undefined
  return detail?.status === 404
}

function withOthers(error: unknown, failures: readonly string[]): unknown {
  if (!isDrayError(error) || failures.length === 0) return error
  const { code, message, detail, cause, retryable } = error
  const before = failures.map((failure) => `; before that ${failure}`).join('')
  return new DrayError(code, message + before, { detail, cause, retryable })
}

function readOnly(name: string): DrayError {
  return new DrayError('UNSUPPORTED', `${name} was opened to pull from`)
}
