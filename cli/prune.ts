import type { Store } from '#puller/index.ts'
import type { StoreOptions } from './commands/options.ts'
import { measureAll, sizeOfAll } from './disk-usage.ts'
import { passesIn } from './image-filter.ts'
import { containersOfStore } from './image-users.ts'
import { formatSize } from './output/format.ts'
import { print } from './output/print.ts'

/** What filters say, for questions. */
export function passing({ filter }: { readonly filter: readonly string[] }): string {
  return filter.length === 0 ? '' : ` that pass ${filter.join(', ')}`
}

/** Prints what was removed of one kind, as docker does. */
export function printRemoved(kind: string, lines: readonly string[]): void {
  if (lines.length > 0) print(`Deleted ${kind}:\n${lines.join('\n')}\n\n`)
}

/** Removes things, and prints what the store takes less after it. */
export async function printReclaimed(
  store: Store,
  options: StoreOptions,
  remove: () => Promise<void>,
): Promise<void> {
  const before = sizeOfAll(await measureAll(store, options))
  await remove()
  const after = sizeOfAll(await measureAll(store, options))
  print(`Total reclaimed space: ${formatSize(Math.max(0, before - after))}`)
}

/** Removes images, what pulls left unfinished, and everything that nothing needs any more, and says so. */
export async function pruneStore(
  store: Store,
  options: StoreOptions & {
    readonly all?: boolean | undefined
    readonly filter: readonly string[]
  },
): Promise<void> {
  const { listImages, pruneImages, removeFreeIngests, removeGarbage } = await import(
    '#puller/index.ts'
  )
  const { users, dirsInUse } = containersOfStore(options)
  const { all, filter } = options
  const mayGo = filter.length === 0 ? undefined : passesIn(await listImages(store), filter)
  const removed = await pruneImages(store, { all, mayGo, users })
  printRemoved(
    'Images',
    removed.flatMap(({ untagged, deleted }) => [
      ...untagged.map((name) => `untagged: ${name}`),
      ...(deleted === undefined ? [] : [`deleted: ${deleted}`]),
    ]),
  )
  await removeFreeIngests(store.layout)
  await removeGarbage(store, dirsInUse)
}
