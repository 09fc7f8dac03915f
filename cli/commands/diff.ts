import { Command, Option } from 'commander'
import type { Difference } from '#runner/verbs/diff.ts'
import { openContainer, runnerContext } from '../containers.ts'
import { holdLayersOf } from '../layers.ts'
import { print } from '../output/print.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

export function diffCommand(): Command {
  const command = new Command('diff')
    .description('Show what a container added (A), changed (C) and deleted (D) in its files')
    .argument('<container>', 'name or id')
    .addOption(
      new Option('--format <format>', 'json: the paths by what became of them').choices(['json']),
    )
  return withExamples(withStoreOptions(command), [
    ['dray diff web', 'what it wrote beside its volumes'],
  ]).action(diff)
}

interface DiffOptions extends StoreOptions {
  readonly format?: 'json'
}

async function diff(reference: string, options: DiffOptions): Promise<void> {
  const { containerChanges } = await import('#runner/verbs/diff.ts')
  const { root } = runnerContext(options)
  const container = await openContainer(root, reference)
  const layers = await holdLayersOf(root, container.record.rootfs.lowerDirs)
  try {
    const changes = containerChanges(container)
    if (options.format === 'json') print(JSON.stringify(byKind(changes)))
    else for (const { kind, path } of changes) print(`${kind} ${path}`)
  } finally {
    await layers.release()
  }
}

/** In podman's words; what there is none of is left out. */
function byKind(changes: readonly Difference[]): Record<string, readonly string[]> {
  const words = { changed: 'C', added: 'A', deleted: 'D' } as const
  const lists = Object.entries(words).map(
    ([word, wanted]) =>
      [word, changes.filter(({ kind }) => kind === wanted).map(({ path }) => path)] as const,
  )
  return Object.fromEntries(lists.filter(([, paths]) => paths.length > 0))
}
