import { Command } from 'commander'
import type { Platform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import { interruptible } from '../interrupt.ts'
import { formatDuration, formatSize } from '../output/format.ts'
import { createProgressView } from '../output/progress.ts'
import { print } from '../output/print.ts'
import { openLocalStore } from '../store.ts'
import { type TransferOptions, withPlatformOption, withTransferOptions } from './options.ts'

interface PullOptions extends TransferOptions {
  readonly platform?: Platform
}

export function pullCommand(): Command {
  const command = new Command('pull')
    .description('Fetch an image into the local store, verified and unpacked')
    .argument('<image>', '[registry/]name[:tag][@digest]')
  return withPlatformOption(withTransferOptions(command)).action(pull)
}

async function pull(image: string, options: PullOptions): Promise<void> {
  const { pullImage } = await import('#puller/index.ts')
  const reference = parseReference(image)
  const store = await openLocalStore(options.root)
  const view = createProgressView(options.quiet ? 'none' : options.progress, process.stderr)
  const started = performance.now()
  const result = await interruptible((signal) =>
    pullImage(store, reference, {
      platform: options.platform,
      plainHttp: options.plainHttp,
      onProgress: view.show,
      signal,
    }),
  ).finally(view.end)
  const took = formatDuration(performance.now() - started)
  const what =
    result.transferred === 0 ? 'up to date' : `${formatSize(result.transferred)} fetched in ${took}`
  print(options.quiet ? result.digest : `${result.name}  ${result.digest}  ${what}`)
}
