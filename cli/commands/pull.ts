import { Command, Option } from 'commander'
import { DrayError } from '#oci/error.ts'
import type { Platform } from '#oci/platform.ts'
import { parseReference, type Reference } from '#oci/reference.ts'
import type { RegistryAccess, Store } from '#puller/index.ts'
import { remoteImages } from '../all-tags.ts'
import { flagsOfMoving, ignored, refused, withFlagsOfOthers } from '../flags-of-others.ts'
import { orGoOn } from '../go-on.ts'
import { interruptible } from '../interrupt.ts'
import { formatDuration, formatSize } from '../output/format.ts'
import { createProgressView } from '../output/progress.ts'
import { print, say } from '../output/print.ts'
import { registryAccess } from '../registry-access.ts'
import { openLocalStore } from '../store.ts'
import {
  type LimitOptions,
  type TransferOptions,
  withExamples,
  withLayerStoreOption,
  withLimitOptions,
  withPlatformOption,
  withTransferOptions,
} from './options.ts'

interface PullOptions extends TransferOptions, LimitOptions {
  readonly platform?: Platform
  readonly allPlatforms?: true
  readonly withReferrers?: true
  readonly unpack: boolean
  readonly allTags?: true
}

export function pullCommand(): Command {
  const command = new Command('pull')
    .description('Fetch images into the local store, verified and unpacked')
    .argument('<image...>', '[registry/]name[:tag][@digest]; one after the other')
    .option('-a, --all-tags', 'all tags of a repository')
    .option('--no-unpack', 'only verify and keep the layers; dray run unpacks them')
    .option('--all, --all-platforms', 'keep the layers of all other platforms, too')
    .option('--with-referrers', 'keep signatures, SBOMs and other artifacts that refer to it, too')
  withLimitOptions(command, 'requests at once, at the most (default: 8)')
  withFlagsOfOthers(
    command,
    ...flagsOfMoving(),
    ignored('--disable-content-trust'),
    refused('--arch <arch>', 'write --platform linux/ARCH'),
    refused('--os <os>', 'write --platform OS/ARCH'),
    refused('--variant <variant>', 'write --platform linux/ARCH/VARIANT'),
    new Option('--policy <when>').hideHelp().argParser(policy), // podman's
  )
  return withExamples(withLayerStoreOption(withPlatformOption(withTransferOptions(command))), [
    ['dray pull debian:12', 'by its tag'],
    ['dray pull debian:12 alpine:3', 'two; one that fails does not stop the other'],
    ['dray pull --all-tags registry.example/team/app', 'all versions of it'],
    ['dray pull --platform linux/arm64 --no-unpack registry.example/app:1', 'for another machine'],
  ]).action(pull)
}

async function pull(
  images: readonly string[],
  options: PullOptions,
  command: Command,
): Promise<void> {
  const { lowerPriority } = await import('#puller/index.ts')
  const references = images.map(parseRemote)
  const debug = command.optsWithGlobals().debug === true
  const access = await registryAccess(options, onlyRegistry(references, options))
  if (options.lowPriority) lowerPriority()
  const store = await openLocalStore(options)
  const { root } = store.layout
  for (const named of references) {
    const all = options.allTags
      ? await orGoOn({ root, debug }, () => remoteImages(named, access, debug))
      : [named]
    for (const reference of all ?? []) {
      const pulling = { ...options, access, debug }
      const line = await orGoOn({ root, debug }, () => pullOne(store, reference, pulling))
      if (line !== undefined) print(line)
    }
  }
}

/** What podman pulls when: a pull by a tag asks for its digest first, and fetches what is new. @throws USAGE */
function policy(when: string): void {
  if (when === 'always' || when === 'newer') return
  throw new DrayError(
    'USAGE',
    'a pull fetches only what is missing; to leave the registry alone where the image is here: dray image exists NAME || dray pull NAME',
  )
}

/** @throws USAGE for what is on a disk, which podman pulls as well; REFERENCE_INVALID */
function parseRemote(image: string): Reference {
  const [, path] = /^(?:oci|oci-archive|docker-archive):([^:]+)/.exec(image) ?? []
  if (path === undefined) return parseReference(image)
  throw new DrayError(
    'USAGE',
    `${image} is in no registry: dray load -i ${path} takes all images there, dray copy ${image} store:NAME one of them`,
  )
}

/** The registry that credentials of the command line are for. @throws USAGE when there are several */
function onlyRegistry(references: readonly Reference[], options: PullOptions): string | undefined {
  const [registry, ...others] = new Set(references.map((reference) => reference.registry))
  if (others.length === 0) return registry
  if (options.creds === undefined && options.identityToken === undefined) return undefined
  throw new DrayError(
    'USAGE',
    `--creds and --identity-token are for one registry, not for ${[registry, ...others].join(', ')}: pull from one at a time`,
  )
}

interface PullOneOptions extends PullOptions {
  readonly access: RegistryAccess
  readonly debug: boolean
}

/** @returns what is printed of it */
async function pullOne(
  store: Store,
  reference: Reference,
  options: PullOneOptions,
): Promise<string> {
  const { pullImage } = await import('#puller/index.ts')
  const view = createProgressView(options.quiet ? 'none' : options.progress, process.stderr)
  const started = performance.now()
  const result = await interruptible((signal) =>
    pullImage(store, reference, {
      platform: options.platform,
      ...options.access,
      allPlatforms: options.allPlatforms,
      withReferrers: options.withReferrers,
      unpack: options.unpack,
      maxConnections: options.maxConnections?.all,
      limitRate: options.limitRate?.all,
      debug: options.debug ? say : undefined,
      onProgress: view.show,
      signal,
    }),
  ).finally(view.end)
  const took = formatDuration(performance.now() - started)
  const what =
    result.transferred === 0 ? 'up to date' : `${formatSize(result.transferred)} fetched in ${took}`
  return options.quiet ? result.digest : `${result.name}  ${result.digest}  ${what}`
}
