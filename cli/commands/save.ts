import { Command, Option } from 'commander'
import { DrayError } from '#oci/error.ts'
import type { Platform } from '#oci/platform.ts'
import type { SaveOptions as Saving } from '#puller/index.ts'
import { interruptible } from '../interrupt.ts'
import { ignored, refused, withFlagsOfOthers } from '../flags-of-others.ts'
import { openLocalStore } from '../store.ts'
import { platform, type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface SaveOptions extends StoreOptions {
  readonly output?: string
  readonly format: Saving['format']
  readonly platform?: Platform
}

const FORMATS: readonly Saving['format'][] = ['docker-archive', 'oci-archive', 'oci-dir']

export function saveCommand(): Command {
  const command = new Command('save')
    .description(
      'Write images of the local store to a file, for docker, podman, skopeo or dray load',
    )
    .argument('<image...>', 'names, or digests for images without their names')
    .option('-o, --output <file>', 'file, or directory for oci-dir (default: -, standard output)')
    .addOption(
      new Option('--format <format>', 'docker-archive can be read as oci-archive, too')
        .choices(FORMATS)
        .default('docker-archive'),
    )
    .option('--platform <os/arch[/variant]>', 'one platform alone (default: all here)', platform)
  withFlagsOfOthers(
    command,
    ignored('-m, --multi-image-archive'), // podman's, which takes one image without it
    ignored('-q, --quiet'),
    refused('--compress', 'layers are saved as they are: leave it out'),
    refused('--uncompressed', 'layers are saved as they are, which docker, podman and skopeo read'),
  )
  return withExamples(withStoreOptions(command), [
    ['dray save -o app.tar app:1.2', 'then: docker load -i app.tar'],
    ['dray save app:1.2 db:16 | zstd | ssh node dray load', 'to another machine'],
    ['dray save --format oci-dir -o layout app:1.2', 'into an OCI image layout'],
  ]).action(save)
}

async function save(images: readonly string[], options: SaveOptions): Promise<void> {
  const { format, platform: only } = options
  const output = options.output === '-' ? undefined : options.output
  if (output === undefined && format === 'oci-dir') {
    throw new DrayError('USAGE', 'say where the layout goes: -o DIRECTORY')
  }
  if (output === undefined && process.stdout.isTTY) {
    throw new DrayError('USAGE', 'standard output is a terminal: name a file with -o')
  }
  const { saveImages } = await import('#puller/index.ts')
  const store = await openLocalStore(options)
  await interruptible((signal) =>
    saveImages(store, images, output ?? process.stdout, { format, platform: only, signal }),
  )
}
