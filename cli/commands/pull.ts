import { Command } from 'commander'
import type { Platform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
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
}

export function pullCommand(): Command {
  const command = new Command('pull')
    .description('Fetch an image into the local store, verified and unpacked')
    .argument('<image>', '[registry/]name[:tag][@digest]')
    .option('--no-unpack', 'only verify and keep the layers; dray run unpacks them')
    .option('--all, --all-platforms', 'keep the layers of all other platforms, too')
    .option('--with-referrers', 'keep signatures, SBOMs and other artifacts that refer to it, too')
  withLimitOptions(command, 'requests at once, at the most (default: 8)')
  return withExamples(withLayerStoreOption(withPlatformOption(withTransferOptions(command))), [
    ['dray pull debian:12', 'by its tag'],
    ['dray pull --platform linux/arm64 --no-unpack registry.example/app:1', 'for another machine'],
  ]).action(pull)
}

async function pull(image: string, options: PullOptions, command: Command): Promise<void> {
  const { lowerPriority, pullImage } = await import('#puller/index.ts')
  if (options.lowPriority) lowerPriority()
  const reference = parseReference(image)
  const access = await registryAccess(options, reference.registry)
  const store = await openLocalStore(options)
  const view = createProgressView(options.quiet ? 'none' : options.progress, process.stderr)
  const started = performance.now()
  const result = await interruptible((signal) =>
    pullImage(store, reference, {
      platform: options.platform,
      ...access,
      allPlatforms: options.allPlatforms,
      withReferrers: options.withReferrers,
      unpack: options.unpack,
      maxConnections: options.maxConnections?.all,
      limitRate: options.limitRate?.all,
      debug: command.optsWithGlobals().debug === true ? say : undefined,
      onProgress: view.show,
      signal,
    }),
  ).finally(view.end)
  const took = formatDuration(performance.now() - started)
  const what =
    result.transferred === 0 ? 'up to date' : `${formatSize(result.transferred)} fetched in ${took}`
  print(options.quiet ? result.digest : `${result.name}  ${result.digest}  ${what}`)
}
