import { open } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Command } from 'commander'
import { DrayError, errorMessage } from '#oci/error.ts'
import type { Owner } from '#runner/userns/id-map.ts'
import { openContainer, runnerContext } from '../containers.ts'
import { interruptible } from '../interrupt.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface ExportOptions extends StoreOptions {
  readonly output?: string
}

export function exportCommand(): Command {
  const command = new Command('export')
    .description('Write the files of a container as a tar, without its volumes')
    .argument('<container>', 'name or id')
    .option('-o, --output <file>', 'where to (default: standard output)')
  return withExamples(withStoreOptions(command), [
    ['dray export -o web.tar web', 'dray import web.tar IMAGE makes an image of it'],
    ['dray export web | tar -t', 'what is in it'],
  ]).action(exportContainer)
}

async function exportContainer(reference: string, options: ExportOptions): Promise<void> {
  const { withRootfs } = await import('#runner/files/inside.ts')
  const { writeTar } = await import('#puller/tar/writer.ts')
  const { ownerInside } = await import('#runner/userns/id-map.ts')
  const { output } = options
  if (output === undefined && process.stdout.isTTY) {
    throw new DrayError(
      'USAGE',
      'a tar is nothing for a terminal: say where to with -o, or pipe it on',
    )
  }
  const context = runnerContext(options)
  const container = await openContainer(context.root, reference)
  await withRootfs(container, context, async (dir, ids) => {
    const owner = ids && ((stored: Owner) => ownerInside(ids, stored))
    const tar = writeTar(dir, { purpose: 'files', isLive: true, owner })
    const target = output === undefined ? process.stdout : await openOutput(output)
    await interruptible((signal) => pipeline(tar, target, { signal, end: output !== undefined }))
  })
}

/** @throws USAGE */
async function openOutput(path: string): Promise<Writable> {
  try {
    return (await open(path, 'w')).createWriteStream({ flush: true })
  } catch (cause) {
    throw new DrayError('USAGE', `cannot write ${path}: ${errorMessage(cause)}`, { cause })
  }
}
