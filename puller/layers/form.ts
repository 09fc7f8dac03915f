import type { Digest } from '#oci/digest.ts'
import type { TarEntry } from '../tar/entry.ts'
import type { DirectoryNode, LeafNode, Node, Place } from './tree.ts'

/** The uncompressed archive that a layer came as. */
export interface LayerArchive {
  readonly diffId: Digest
  /** Its length. */
  readonly tarBytes: number
}

/**
 * How a layer's tree is kept: as files, or as an image of metadata. What the tree is, which entry wins and what hides what, is
 * decided before and is the same for all forms. A name that something is made at is free.
 */
export interface LayerForm<Leaf extends LeafNode = LeafNode> {
  makeDirectory(directory: DirectoryNode<Leaf>): void
  /**
   * Makes the file, symlink, device or fifo that an entry describes; undefined when this process can't, and nothing is there
   * then. The content of a file follows by `write`, up to the next `endEntry`.
   */
  makeLeaf(place: Place<Leaf>, entry: TarEntry): Leaf | undefined
  /** Gives a leaf one more name. */
  makeLink(place: Place<Leaf>, source: Place<Leaf>): void
  makeWhiteout(place: Place<Leaf>): void
  /** Empties a name; of a directory, with all that is in it. */
  remove(place: Place<Leaf>, node: Node<Leaf>): void
  write(chunk: Buffer, offsetInFile: number): void
  endEntry(): void
  /** Takes the next bytes of the archive itself, where the form keeps it. */
  keep?(chunk: Buffer): void
  /** Completes the tree: directories have their final attributes and marks now. */
  finish(root: DirectoryNode<Leaf>, archive: LayerArchive): void
  /** Closes what is open; what was made is worth nothing. */
  abort(): void
  /** Devices left out because only root can make them. */
  readonly skippedDevices: number
  /** Extended attributes left out because the form or the process can't have them. */
  readonly skippedXattrs: number
}
