import { Command } from 'commander'
import { interruptible } from '../interrupt.ts'
import { formatDuration, formatSize } from '../output/format.ts'
import { print } from '../output/print.ts'
import { createProgressView } from '../output/progress.ts'
import { registryAccess } from '../registry-access.ts'
import { openLocalStore } from '../store.ts'
import { count, type TransferOptions, withExamples, withTransferOptions } from './options.ts'

interface PushOptions extends TransferOptions {
  readonly maxConnections?: number
}

export function pushCommand(): Command {
  const command = new Command('push')
    .description('Send an image to a registry')
    .argument('<image>', 'image of the local store, oci:DIR[:NAME] or docker-archive:FILE[:NAME]')
    .argument('[target]', '[registry/]name[:tag], where it differs from the name of the image')
    .option('--max-connections <n>', 'blobs sent at once (default: 4)', count)
  return withExamples(withTransferOptions(command), [
    ['dray push registry.example/app:1', 'an image of the local store, to where its name says'],
    ['dray push oci:build/app:1 localhost:5000/app:1', 'one that a builder wrote to a directory'],
  ]).action(push)
}

async function push(
  image: string,
  target: string | undefined,
  options: PushOptions,
): Promise<void> {
  const { heldElsewhere, openImage, pushImage, pushTarget } = await import('#puller/index.ts')
  const reference = pushTarget(image, target)
  const access = await registryAccess(options, reference.registry)
  const store = await openLocalStore(options)
  const view = createProgressView(options.quiet ? 'none' : options.progress, process.stderr)
  const started = performance.now()
  const result = await interruptible(async (signal) => {
    const opened = await openImage(store, image, signal)
    try {
      return await pushImage(opened.image, reference, {
        ...access,
        elsewhere: await heldElsewhere(store, reference, signal),
        maxConnections: options.maxConnections,
        onProgress: view.show,
        signal,
      })
    } finally {
      await opened.close()
    }
  }).finally(view.end)
  const took = formatDuration(performance.now() - started)
  const what =
    result.transferred === 0
      ? 'layers already there'
      : `${formatSize(result.transferred)} sent in ${took}`
  print(options.quiet ? result.digest : `${result.name}  ${result.digest}  ${what}`)
}
