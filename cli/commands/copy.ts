import { Command, Option } from 'commander'
import { DrayError } from '#oci/error.ts'
import type { Platform } from '#oci/platform.ts'
import type { CopyResult, Credential, Location, RegistryAccess } from '#puller/index.ts'
import { type FromTo, placesOfTags } from '../all-tags.ts'
import {
  checkDigestFile,
  type DigestFileOptions,
  withDigestFile,
  writeDigest,
} from '../digest-file.ts'
import { flagsOfSending, ignored, refused, withFlagsOfOthers } from '../flags-of-others.ts'
import { orGoOn } from '../go-on.ts'
import { interruptible } from '../interrupt.ts'
import { formatDuration, formatSize } from '../output/format.ts'
import { print, say } from '../output/print.ts'
import { createProgressView } from '../output/progress.ts'
import { registryAccess } from '../registry-access.ts'
import { openLocalStore } from '../store.ts'
import {
  type AccessOptions,
  type CredentialOptions,
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

interface CopyOptions
  extends StoreOptions,
    AccessOptions,
    ProgressOptions,
    LimitOptions,
    DigestFileOptions {
  readonly allTags?: true
  readonly srcAuthfile?: string
  readonly destAuthfile?: string
  readonly srcCertDir?: string
  readonly destCertDir?: string
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

const RECOMPRESS = 'dray push --compression FORMAT sends an image compressed in another way'

export function copyCommand(): Command {
  const command = new Command('copy')
    .description('Copy an image as it is, between registries without touching the disk')
    .argument('<source>', PLACES)
    .argument('<destination>', PLACES)
    .option('--src-creds <user:password>', 'credentials for the source', creds)
    .option('--dest-creds <user:password>', 'credentials for the destination', creds)
    .addOption(new Option('--src-tls-verify', 'always so').default(true).hideHelp()) // skopeo's
    .addOption(new Option('--dest-tls-verify', 'always so').default(true).hideHelp())
    .option('--src-authfile <file>', 'file of credentials for the source')
    .option('--dest-authfile <file>', 'file of credentials for the destination')
    .option('--src-cert-dir <dir>', 'certificates of the source')
    .option('--dest-cert-dir <dir>', 'certificates of the destination')
    .option('--all-tags', 'all tags of a repository, to one, a layout or the local store')
    .option('--platform <os/arch[/variant]>', 'one platform alone (default: all)', platform)
    .option('-a, --all-platforms', 'fail if the source lacks some of the platforms')
    .option('--with-referrers', 'copy signatures, SBOMs and other artifacts that refer to it, too')
  withDigestFile(command)
  withFlagsOfOthers(
    command,
    ...flagsOfSending(),
    ignored('--preserve-digests'), // always so
    ignored('--image-parallel-copies <n>'),
    new Option('--multi-arch <which>').hideHelp().argParser(multiArch),
    refused('--additional-tag <name>', 'copy it once more by the other name, which sends nothing'),
    refused('-f, --format <format>', 'an image is copied as it is'),
    ignored('--dest-precompute-digests'),
    refused('--dest-compress', RECOMPRESS),
    refused('--dest-force-compress-format', RECOMPRESS),
    refused('--dest-compress-format <format>', RECOMPRESS),
    refused('--dest-compress-level <n>', RECOMPRESS),
    refused('--dest-decompress', 'an image is copied as it is'),
    refused('--src-username <name>', 'write --src-creds NAME:PASSWORD'),
    refused('--src-password <password>', 'write --src-creds NAME:PASSWORD'),
    refused('--dest-username <name>', 'write --dest-creds NAME:PASSWORD'),
    refused('--dest-password <password>', 'write --dest-creds NAME:PASSWORD'),
    refused('--src-registry-token <token>', 'write --src-creds USER:TOKEN, as dray login takes it'),
    refused(
      '--dest-registry-token <token>',
      'write --dest-creds USER:TOKEN, as dray login takes it',
    ),
    refused('--src-no-creds', 'write --src-authfile /dev/null'),
    refused('--dest-no-creds', 'write --dest-authfile /dev/null'),
    refused('--no-clobber', 'dray remote digest NAME tells whether a tag is there already'),
  )
  withLimitOptions(command, 'blobs sent at once (default: 4), or requests (8)')
  return withExamples(withProgressOptions(withAccessOptions(withStoreOptions(command))), [
    ['dray copy debian:12 localhost:5000/debian:12', 'from Docker Hub, for all platforms'],
    ['dray copy --all-tags a.example/app b.example/mirror/app', 'all versions of it'],
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
  const { platform: only, allPlatforms } = options
  if (only !== undefined && allPlatforms)
    throw new DrayError('USAGE', '--platform and --all-platforms exclude each other: give one')
  const { lowerPriority, parseLocation } = await import('#puller/index.ts')
  if (options.lowPriority) lowerPriority()
  checkDigestFile(options, options.allTags)
  const places = { from: parseLocation(from), to: parseLocation(to) }
  const fromAccess = await accessTo(places.from, {
    ...options,
    creds: options.srcCreds,
    tlsVerify: options.tlsVerify !== false && options.srcTlsVerify,
    authfile: options.srcAuthfile ?? options.authfile,
    certDir: options.srcCertDir ?? options.certDir,
  })
  const toAccess = await accessTo(places.to, {
    ...options,
    creds: options.destCreds,
    tlsVerify: options.tlsVerify !== false && options.destTlsVerify,
    authfile: options.destAuthfile ?? options.authfile,
    certDir: options.destCertDir ?? options.certDir,
  })
  const access = { fromAccess, toAccess }
  const debug = command.optsWithGlobals().debug === true
  if (!options.allTags) return await copyOne(places, { ...options, ...access, debug })
  for (const each of await placesOfTags(places, fromAccess, debug))
    await orGoOn({ debug }, () => copyOne(each, { ...options, ...access, debug }))
}

async function accessTo(
  place: Location,
  options: CredentialOptions & LimitOptions,
): Promise<RegistryAccess | undefined> {
  if (place.kind !== 'registry') return undefined
  return await registryAccess(options, place.reference.registry)
}

interface CopyOneOptions extends CopyOptions {
  readonly fromAccess: RegistryAccess | undefined
  readonly toAccess: RegistryAccess | undefined
  readonly debug: boolean
}

async function copyOne(places: FromTo, options: CopyOneOptions): Promise<void> {
  const { platform: only, allPlatforms, quiet, fromAccess, toAccess, debug } = options
  const { copyImage } = await import('#puller/index.ts')
  const view = createProgressView(quiet ? 'none' : options.progress, process.stderr)
  const started = performance.now()
  const result = await interruptible((signal) =>
    copyImage(
      { ...places, fromAccess, toAccess, openStore: () => openLocalStore(options) },
      {
        platform: only,
        allPlatforms,
        withReferrers: options.withReferrers,
        maxConnections: options.maxConnections?.all,
        limitRate: options.limitRate?.all,
        debug: debug ? say : undefined,
        onProgress: view.show,
        signal,
      },
    ),
  ).finally(view.end)
  await writeDigest(options, result.digest)
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

/** Skopeo's: all is what is copied anyway. @throws USAGE */
function multiArch(which: string): void {
  if (which === 'all') return
  throw new DrayError(
    'USAGE',
    `there is no --multi-arch ${which}: write --platform OS/ARCH for one`,
  )
}
