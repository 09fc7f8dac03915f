import { type DirectoryNode, IMPLIED } from '../tree.ts'
import { chunkCount } from './chunks.ts'
import { directorySize, shapeDirectory } from './directory.ts'
import { BLOCK_SIZE, CHUNK_INDEX_SIZE, INODE_SLOT } from './disk.ts'
import {
  chunkBitsOf,
  type ErofsDirectory,
  type ErofsInode,
  type ErofsLeaf,
  hasChunks,
  headSize,
  indexesAt,
  ownDataSize,
  tailFits,
} from './inode.ts'
import { encodeXattrs } from './xattrs.ts'

/** Where everything of an image is: first the inodes, then the blocks of directories and long symlinks. */
export interface ImageLayout {
  /** In the order of their numbers; the root is the first. */
  readonly inodes: readonly ErofsInode[]
  readonly directories: ReadonlyMap<DirectoryNode<ErofsLeaf>, ErofsDirectory>
  /** What every whiteout is: overlay looks at type and device number only. */
  readonly whiteout: ErofsLeaf
  /** Time of the inodes that have none of their own. */
  readonly epoch: number
  /** Bytes that the inodes take, and the blocks behind them. */
  readonly inodeBytes: number
  readonly blocks: number
  /** Attributes of directories that were left out. */
  readonly skippedXattrs: number
}

/** Gives every inode of a finished tree its place. The same tree gets the same places. */
export function layOutImage(root: DirectoryNode<ErofsLeaf>): ImageLayout {
  const collection: Collection = {
    inodes: [],
    directories: new Map(),
    whiteout: createWhiteout(),
    skippedXattrs: 0,
  }
  collect(root, collection)
  const epoch = commonTime(collection.inodes)
  return { ...collection, epoch, ...placeInodes(collection.inodes, epoch) }
}

/** A child of a directory as an inode; undefined for a device that was left out. */
export function inodeOf(
  layout: Pick<ImageLayout, 'directories' | 'whiteout'>,
  directory: DirectoryNode<ErofsLeaf>,
  name: string,
): ErofsInode | undefined {
  const node = directory.children.get(name)
  if (node?.kind === 'directory') return layout.directories.get(node)
  if (node?.kind === 'whiteout') return layout.whiteout
  return node === undefined || node.kind === 'skipped' ? undefined : node
}

interface Collection {
  readonly inodes: ErofsInode[]
  readonly directories: Map<DirectoryNode<ErofsLeaf>, ErofsDirectory>
  readonly whiteout: ErofsLeaf
  skippedXattrs: number
}

/** A directory, its leaves, and then its directories one by one: what is looked up together is close together. */
function collect(node: DirectoryNode<ErofsLeaf>, into: Collection): void {
  const directory = createDirectory(node, into)
  into.directories.set(node, directory)
  into.inodes.push(directory)
  const below: DirectoryNode<ErofsLeaf>[] = []
  for (const name of directory.shape.names) {
    const child = node.children.get(name)
    if (child?.kind === 'directory') {
      below.push(child)
      continue
    }
    const leaf = inodeOf(into, node, name)
    if (leaf === undefined) continue
    if (leaf.links === 0) into.inodes.push(leaf)
    leaf.links++
  }
  directory.links += below.length
  for (const child of below) collect(child, into)
}

function createDirectory(node: DirectoryNode<ErofsLeaf>, into: Collection): ErofsDirectory {
  const attributes = node.attributes ?? IMPLIED
  const { mode, uid, gid, mtime } = attributes
  const names = [...node.children].filter(([, { kind }]) => kind !== 'skipped')
  const shape = shapeDirectory(names.map(([name]) => name))
  const { bytes: xattrs, skipped } = encodeXattrs(attributes, 'directory', node.opaque)
  into.skippedXattrs += skipped
  return {
    type: 'directory',
    node,
    shape,
    mode,
    uid,
    gid,
    ...mtime,
    xattrs,
    size: directorySize(shape),
    links: 2,
    nid: 0,
    firstBlock: undefined,
  }
}

function createWhiteout(): ErofsLeaf {
  const owner = { mode: 0, uid: 0, gid: 0, ...IMPLIED.mtime, xattrs: Buffer.alloc(0) }
  const place = { size: 0, links: 0, nid: 0, firstBlock: undefined }
  return { kind: 'file', type: 'character', ...owner, ...place, target: '', data: 0 }
}

/** The whole second that most inodes have; of several, the earliest. */
function commonTime(inodes: readonly ErofsInode[]): number {
  const counts = new Map<number, number>()
  for (const { seconds, nanoseconds } of inodes) {
    if (nanoseconds === 0) counts.set(seconds, (counts.get(seconds) ?? 0) + 1)
  }
  let [best, most] = [0, 0]
  for (const [seconds, count] of counts) {
    if (count > most || (count === most && seconds < best)) [best, most] = [seconds, count]
  }
  return best
}

function placeInodes(inodes: readonly ErofsInode[], epoch: number) {
  let end = INODE_SLOT // number 0 is nobody's
  let blocks = 0
  for (const inode of inodes) {
    const head = headSize(inode, epoch)
    const data = ownDataSize(inode)
    const tail = data % BLOCK_SIZE
    const position = findPosition(alignToSlot(end), head, tail)
    const isInline = tailFits(position, head, tail)
    const apart = isInline ? Math.floor(data / BLOCK_SIZE) : Math.ceil(data / BLOCK_SIZE)
    if (apart > 0) inode.firstBlock = blocks
    blocks += apart
    inode.nid = position / INODE_SLOT
    end = position + (isInline ? head + tail : head)
    if (hasChunks(inode)) end = position + indexesAt(head) + indexBytes(inode)
  }
  return { inodeBytes: end, blocks }
}

function indexBytes(inode: ErofsLeaf): number {
  return chunkCount(inode.size, chunkBitsOf(inode)) * CHUNK_INDEX_SIZE
}

/** The next place where the tail fits behind the inode; if there is none, the first one. */
function findPosition(first: number, head: number, tail: number): number {
  for (let at = first; at < first + BLOCK_SIZE; at += INODE_SLOT) {
    if (tailFits(at, head, tail)) return at
  }
  return first
}

function alignToSlot(position: number): number {
  return Math.ceil(position / INODE_SLOT) * INODE_SLOT
}
