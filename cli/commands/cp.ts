import { pipeline } from 'node:stream/promises'
import { Command } from 'commander'
import { DrayError } from '#oci/error.ts'
import type { End } from '#runner/files/end.ts'
import type { IdMap, Owner } from '#runner/userns/id-map.ts'
import { openContainer, runnerContext } from '../containers.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface CpOptions extends StoreOptions {
  readonly archive?: true
  readonly followLink?: true
}

export function cpCommand(): Command {
  const command = new Command('cp')
    .description('Copy files between a container and this machine, whether it runs or not')
    .argument('<source>', 'CONTAINER:PATH, a path here, or - for a tar on standard input')
    .argument('<destination>', 'CONTAINER:PATH, a path here, or - for a tar on standard output')
    .option('-a, --archive', 'keep owners (default: root inside, you here)')
    .option('-q, --quiet', 'print nothing, as it does anyway')
    .option('-L, --follow-link', 'copy what a link leads to, not the link')
  return withExamples(withStoreOptions(command), [
    ['dray cp web:/etc/nginx .', 'a directory of the container, here as ./nginx'],
    ['dray cp site/. web:/www', 'what is in a directory, into one that is there'],
    ['dray cp web:/var/log - | tar -t', 'as a tar'],
  ]).action(copy)
}

/** Where a copy comes from or goes to, as typed. */
type Spot =
  | { readonly kind: 'stream' }
  | { readonly kind: 'host'; readonly path: string }
  | { readonly kind: 'container'; readonly name: string; readonly path: string }

async function copy(from: string, to: string, options: CpOptions): Promise<void> {
  const { withFiles } = await import('#runner/files/inside.ts')
  const { openHostRoot } = await import('#runner/files/end.ts')
  const [source, target] = [parseSpot(from), parseSpot(to)]
  const inside = [source, target].filter((spot) => spot.kind === 'container')
  const [spot] = inside
  if (spot === undefined || inside.length > 1) {
    throw new DrayError(
      'USAGE',
      'one of the two must be CONTAINER:PATH, the other a path here or -',
    )
  }
  const context = runnerContext(options)
  const container = await openContainer(context.root, spot.name)
  await withFiles(container, context, async (root, ids) => {
    const ends = { container: root, host: openHostRoot() }
    const end = (of: Spot): End | undefined =>
      of.kind === 'stream'
        ? undefined
        : { root: ends[of.kind], path: of.path, isContainer: of.kind === 'container' }
    await transfer(end(source), end(target), await ownersOf(spot === target, ids, options))
  })
}

type MapOwner = (owner: Owner) => Owner

interface TransferOptions {
  readonly followLink: boolean
  /** Whose a file is as the archive has it, and then where it is put. */
  readonly archivedOwner: MapOwner | undefined
  readonly placedOwner: MapOwner | undefined
}

/** Unless owners are kept, the copies are root's inside, and the caller's here. */
async function ownersOf(
  isIntoContainer: boolean,
  ids: IdMap | undefined,
  options: CpOptions,
): Promise<TransferOptions> {
  const { archive } = options
  const followLink = options.followLink === true
  const { ownerInside, ownerOutside } = await import('#runner/userns/id-map.ts')
  const outside: MapOwner = (owner) => (ids === undefined ? owner : ownerOutside(ids, owner))
  const here = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
  if (isIntoContainer) {
    const placedOwner: MapOwner = (owner) => outside(archive ? owner : { uid: 0, gid: 0 })
    return { followLink, archivedOwner: undefined, placedOwner }
  }
  return {
    followLink,
    archivedOwner: ids && ((owner) => ownerInside(ids, owner)),
    placedOwner: archive ? undefined : () => here,
  }
}

/** `undefined` stands for a tar on a standard stream. */
async function transfer(
  from: End | undefined,
  to: End | undefined,
  { followLink, archivedOwner, placedOwner: owner }: TransferOptions,
): Promise<void> {
  const { openDestination, openDirectory, openSource } = await import('#runner/files/end.ts')
  const { placeTar } = await import('#puller/tar/place.ts')
  if (from === undefined) {
    if (to === undefined) return
    const { decompress } = await import('#puller/layers/decompress.ts')
    const place = openDirectory(to)
    return await placeTar(decompress(process.stdin), place.dir, {
      owner,
    }).finally(place.close)
  }
  const { writeTar } = await import('#puller/tar/writer.ts')
  const source = openSource(from, { followLink })
  const tarOf = (name: string) => {
    const as = Buffer.from(name)
    return writeTar(source.path, { purpose: 'files', isLive: true, as, owner: archivedOwner })
  }
  try {
    if (to === undefined) {
      const tar = tarOf(source.isContent ? '' : source.name)
      return await pipeline(tar, process.stdout, { end: false })
    }
    const place = openDestination(to, source)
    await placeTar(tarOf(place.name), place.dir, { owner }).finally(place.close)
  } finally {
    source.close()
  }
}

/** As docker reads it: a colon after a name, unless a path begins before it. */
function parseSpot(text: string): Spot {
  if (text === '-') return { kind: 'stream' }
  const colon = text.indexOf(':')
  if (colon < 1 || text.startsWith('/') || text.startsWith('.')) {
    return { kind: 'host', path: text.startsWith('/') ? text : `${process.cwd()}/${text}` }
  }
  const path = text.slice(colon + 1)
  return {
    kind: 'container',
    name: text.slice(0, colon),
    path: path.startsWith('/') ? path : `/${path}`,
  }
}
