import { Command } from 'commander'
import { formatReference, type Reference } from '#oci/reference.ts'
import type { OpenedImage, RecompressOptions, RegistryAccess, Store } from '#puller/index.ts'
import { localImages, wholeRepository } from '../all-tags.ts'
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
import { print } from '../output/print.ts'
import { createProgressView } from '../output/progress.ts'
import { registryAccess } from '../registry-access.ts'
import { openLocalStore } from '../store.ts'
import {
  type CompressionOptions,
  type LimitOptions,
  type TransferOptions,
  withCompressionOptions,
  withExamples,
  withLimitOptions,
  withTransferOptions,
} from './options.ts'

interface PushOptions extends TransferOptions, LimitOptions, CompressionOptions, DigestFileOptions {
  readonly allTags?: true
  readonly forceCompression?: true
}

export function pushCommand(): Command {
  const command = new Command('push')
    .description('Send an image to a registry')
    .argument(
      '<image>',
      'image of the local store, oci:DIR[:NAME], oci-archive:FILE[:NAME] or docker-archive:FILE[:NAME]',
    )
    .argument('[target]', '[registry/]name[:tag], where it differs from the name of the image')
  withLimitOptions(command, 'blobs sent at once (default: 4)')
  withCompressionOptions(command, 'layers are to be')
  command.option('-a, --all-tags', 'all tags that the local store has of a repository')
  withDigestFile(command)
  command.option('--force-compression', 'compress layers again that have the format already')
  withFlagsOfOthers(
    command,
    ...flagsOfSending(),
    ignored('--disable-content-trust'),
    refused('--compress', 'write --compression gzip'),
    refused(
      '-f, --format <format>',
      "an image is sent as it is; with --compression, manifests become OCI's",
    ),
    refused('--platform <platform>', 'dray copy --platform PLATFORM store:NAME TARGET sends one'),
  )
  return withExamples(withTransferOptions(command), [
    ['dray push registry.example/app:1', 'an image of the local store, to where its name says'],
    ['dray push --all-tags registry.example/app', 'all that have a tag of it here'],
    [
      'dray push --digestfile app.digest registry.example/app:1',
      'then: cosign sign registry.example/app@$(cat app.digest)',
    ],
    ['dray push oci:build/app:1 localhost:5000/app:1', 'one that a builder wrote to a directory'],
    ['dray push --compression zstd app:1', 'smaller, and faster to unpack; a new digest'],
  ]).action(push)
}

async function push(
  image: string,
  target: string | undefined,
  options: PushOptions,
  command: Command,
): Promise<void> {
  const { lowerPriority, pushTarget } = await import('#puller/index.ts')
  checkDigestFile(options, options.allTags)
  if (options.lowPriority) lowerPriority()
  const to = pushTarget(image, target)
  const access = await registryAccess(options, to.registry)
  const store = await openLocalStore(options)
  if (!options.allTags) return await pushOne(store, image, to, { ...options, access })
  wholeRepository(to)
  const { root } = store.layout
  const debug = command.optsWithGlobals().debug === true
  for (const from of await localImages(store, image)) {
    const reference = { ...to, ...(from.tag !== undefined && { tag: from.tag }) }
    await orGoOn({ root, debug }, () =>
      pushOne(store, formatReference(from), reference, { ...options, access }),
    )
  }
}

async function pushOne(
  store: Store,
  image: string,
  reference: Reference,
  options: PushOptions & { readonly access: RegistryAccess },
): Promise<void> {
  const { blobsHeldBy, heldElsewhere, pushImage } = await import('#puller/index.ts')
  const { access } = options
  const view = createProgressView(options.quiet ? 'none' : options.progress, process.stderr)
  const started = performance.now()
  const result = await interruptible(async (signal) => {
    const isHeld = blobsHeldBy(reference, { ...access, signal })
    const opened = await open(store, image, { ...options, isHeld, signal })
    try {
      return await pushImage(opened.image, reference, {
        ...access,
        elsewhere: await heldElsewhere(store, reference, signal),
        maxConnections: options.maxConnections?.all,
        limitRate: options.limitRate?.all,
        onProgress: view.show,
        signal,
      })
    } finally {
      await opened.close()
    }
  }).finally(view.end)
  await writeDigest(options, result.digest)
  const took = formatDuration(performance.now() - started)
  const what =
    result.transferred === 0
      ? 'layers already there'
      : `${formatSize(result.transferred)} sent in ${took}`
  print(options.quiet ? result.digest : `${result.name}  ${result.digest}  ${what}`)
}

/** The image as it is, unless something is said of its compression. */
async function open(
  store: Store,
  image: string,
  options: PushOptions & Pick<RecompressOptions, 'isHeld'> & { readonly signal: AbortSignal },
): Promise<OpenedImage> {
  const { openImage, parseCompression, recompressImage } = await import('#puller/index.ts')
  const { compressionFormat, compressionLevel, forceCompression: force, isHeld, signal } = options
  if (compressionFormat === undefined && compressionLevel === undefined && force === undefined)
    return await openImage(store, image, { isHeld, signal })
  const compression = parseCompression(compressionFormat, compressionLevel)
  const opened = await openImage(store, image, { compression, isHeld, signal })
  return await recompressImage(store, opened, { compression, force, isHeld, signal })
}
