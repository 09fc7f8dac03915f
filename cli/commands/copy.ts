import { Command, Option } from 'commander'
import { DrayError } from '#oci/error.ts'
import type { Platform } from '#oci/platform.ts'
import type { CopyResult, Credential, Location } from '#puller/index.ts'
import { interruptible } from '../interrupt.ts'
import { formatDuration, formatSize } from '../output/format.ts'
import { print, say } from '../output/print.ts'
import { createProgressView } from '../output/progress.ts'
import { registryAccess } from '../registry-access.ts'
import { openLocalStore } from '../store.ts'
import {
  type AccessOptions,
  creds,
  type LimitOptions,
  type ProgressOptions,
  platform,
  type StoreOptions,
  withAccessOptions,
  withExamples,
  withLimitOptions,
  withProgressOptions,
  withStoreOptions,
} from './options.ts'

interface CopyOptions extends StoreOptions, AccessOptions, ProgressOptions, LimitOptions {
  readonly platform?: Platform
  readonly allPlatforms?: true
  readonly withReferrers?: true
  readonly srcCreds?: Credential
  readonly destCreds?: Credential
  readonly srcTlsVerify: boolean
  readonly destTlsVerify: boolean
}

const PLACES =
  '[docker://]REFERENCE, oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME] or store:NAME'

export function copyCommand(): Command {
  const command = new Command('copy')
    .description('Copy an image as it is, between registries without touching the disk')
    .argument('<source>', PLACES)
    .argument('<destination>', PLACES)
    .option('--src-creds <user:password>', 'credentials for the source', creds)
    .option('--dest-creds <user:password>', 'credentials for the destination', creds)
    .addOption(new Option('--src-tls-verify', 'always so').default(true).hideHelp()) // skopeo's
    .addOption(new Option('--dest-tls-verify', 'always so').default(true).hideHelp())
    .option('--platform <os/arch[/variant]>', 'one platform alone (default: all)', platform)
    .option('-a, --all-platforms', 'fail if the source lacks some of the platforms')
    .option('--with-referrers', 'copy signatures, SBOMs and other artifacts that refer to it, too')
  withLimitOptions(command, 'blobs sent at once (default: 4), or requests (8)')
  return withExamples(withProgressOptions(withAccessOptions(withStoreOptions(command))), [
    ['dray copy debian:12 localhost:5000/debian:12', 'from Docker Hub, for all platforms'],
    ['dray copy --with-referrers a.example/app:1 b.example/app:1', 'with its signatures'],
    ['dray copy --platform linux/arm64 a.example/app:1 oci:layout:1', 'to a layout on disk'],
    ['dray copy debian:12 docker-archive:debian.tar:debian:12', 'then: docker load -i debian.tar'],
    ['dray copy store:team/app:1 registry.example/team/app:1', 'as dray push does'],
  ]).action(copy)
}

async function copy(
  from: string,
  to: string,
  options: CopyOptions,
  command: Command,
): Promise<void> {
  const { platform: only, allPlatforms, quiet } = options
  if (only !== undefined && allPlatforms)
    throw new DrayError('USAGE', '--platform and --all-platforms exclude each other: give one')
  const { copyImage, lowerPriority, parseLocation } = await import('#puller/index.ts')
  if (options.lowPriority) lowerPriority()
  const places = { from: parseLocation(from), to: parseLocation(to) }
  const view = createProgressView(quiet ? 'none' : options.progress, process.stderr)
  const started = performance.now()
  const accessTo = async (place: Location, given: Credential | undefined, verified: boolean) =>
    place.kind === 'registry'
      ? await registryAccess(
          { ...options, creds: given, tlsVerify: options.tlsVerify !== false && verified },
          place.reference.registry,
        )
      : undefined
  const fromAccess = await accessTo(places.from, options.srcCreds, options.srcTlsVerify)
  const toAccess = await accessTo(places.to, options.destCreds, options.destTlsVerify)
  const result = await interruptible((signal) =>
    copyImage(
      { ...places, fromAccess, toAccess, openStore: () => openLocalStore(options) },
      {
        platform: only,
        allPlatforms,
        withReferrers: options.withReferrers,
        maxConnections: options.maxConnections?.all,
        limitRate: options.limitRate?.all,
        debug: command.optsWithGlobals().debug === true ? say : undefined,
        onProgress: view.show,
        signal,
      },
    ),
  ).finally(view.end)
  const tell = isStandardOutput(places.to) ? say : print
  tell(quiet ? result.digest : describeCopy(result, performance.now() - started))
}

/** Nothing else may be written there then. */
function isStandardOutput(place: Location): boolean {
  return 'path' in place && ['/dev/stdout', '/dev/fd/1', '/proc/self/fd/1'].includes(place.path)
}

function describeCopy({ name, digest, transferred, referrers }: CopyResult, ms: number): string {
  const bytes =
    transferred === 0
      ? 'blobs already there'
      : `${formatSize(transferred)} copied in ${formatDuration(ms)}`
  const artifacts = referrers === 1 ? '1 referrer' : `${referrers} referrers`
  return `${name}  ${digest}  ${bytes}${referrers === 0 ? '' : `, with ${artifacts}`}`
}
