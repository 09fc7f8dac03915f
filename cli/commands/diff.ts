import { Command } from 'commander'
import { openContainer, runnerContext } from '../containers.ts'
import { holdLayersOf } from '../layers.ts'
import { print } from '../output/print.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

export function diffCommand(): Command {
  const command = new Command('diff')
    .description('Show what a container added (A), changed (C) and deleted (D) in its files')
    .argument('<container>', 'name or id')
  return withExamples(withStoreOptions(command), [
    ['dray diff web', 'what it wrote beside its volumes'],
  ]).action(diff)
}

async function diff(reference: string, options: StoreOptions): Promise<void> {
  const { containerChanges } = await import('#runner/verbs/diff.ts')
  const { root } = runnerContext(options)
  const container = await openContainer(root, reference)
  const layers = await holdLayersOf(root, container.record.rootfs.lowerDirs)
  try {
    for (const { kind, path } of containerChanges(container)) print(`${kind} ${path}`)
  } finally {
    await layers.release()
  }
}
