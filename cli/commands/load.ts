import { Command } from 'commander'
import { DrayError } from '#oci/error.ts'
import type { Platform } from '#oci/platform.ts'
import { interruptible } from '../interrupt.ts'
import { print } from '../output/print.ts'
import { openLocalStore } from '../store.ts'
import {
  type StoreOptions,
  withExamples,
  withLayerStoreOption,
  withPlatformOption,
  withStoreOptions,
} from './options.ts'

interface LoadOptions extends StoreOptions {
  readonly input?: string
  readonly quiet?: true
  readonly platform?: Platform
  readonly unpack: boolean
}

export function loadCommand(): Command {
  const command = new Command('load')
    .description('Take images from a file that docker, podman, skopeo or dray save wrote')
    .option(
      '-i, --input <file>',
      'docker-archive or oci-archive (plain, gzip, zstd, xz or bzip2), or a directory with an OCI image layout (default: -, standard input)',
    )
    .option('-q, --quiet', 'print digests only')
    .option('--no-unpack', 'only verify and keep the layers; dray run unpacks them')
  return withExamples(withLayerStoreOption(withPlatformOption(withStoreOptions(command))), [
    ['dray load -i app.tar', 'what docker save -o app.tar wrote'],
    ['curl https://example.org/app.tar.zst | dray load', 'from elsewhere, compressed'],
  ]).action(load)
}

async function load(options: LoadOptions): Promise<void> {
  const { platform, unpack } = options
  const input = options.input === '-' ? undefined : options.input
  if (input === undefined && process.stdin.isTTY) {
    throw new DrayError('USAGE', 'standard input is a terminal: name a file with -i')
  }
  const { loadImages } = await import('#puller/index.ts')
  const store = await openLocalStore(options)
  const loaded = await interruptible((signal) =>
    loadImages(store, input ?? process.stdin, { platform, unpack, signal }),
  )
  for (const { name, digest } of loaded) {
    if (options.quiet) print(digest)
    else print(name === undefined ? `Loaded image ID: ${digest}` : `Loaded image: ${name}`)
  }
}
