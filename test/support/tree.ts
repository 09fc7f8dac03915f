import { createHash } from 'node:crypto'
import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { getXattr, listXattrs } from '#puller/sys.ts'

/** All that an inode under a directory shows. Two trees are equal when their descriptions are deeply equal. */
export interface TreeNode {
  /** Relative to the directory, '.' for itself, as a binary string (one character a byte). */
  readonly path: string
  readonly type: 'file' | 'directory' | 'symlink' | 'character' | 'block' | 'fifo' | 'socket'
  /** Octal, with setuid, setgid and sticky. */
  readonly mode: string
  readonly uid: number
  readonly gid: number
  readonly mtimeNs: bigint
  /** Of files; 0 for all else. */
  readonly size: number
  /** Of a file's content; '' for all else. */
  readonly sha256: string
  /** Of a symlink, as a binary string; '' for all else. */
  readonly target: string
  /** Of all but directories, whose count says nothing on some file systems: 0. */
  readonly nlink: number
  /** The other names of the same inode under the directory. */
  readonly links: readonly string[]
  readonly rdev: bigint
  /** Values in hex, by name. */
  readonly xattrs: Readonly<Record<string, string>>
}

/** Describes the tree under `dir`, sorted by path. Follows no symlink, and descends into mounts. */
export function describeTree(dir: string | Buffer): TreeNode[] {
  const nodes: TreeNode[] = []
  const names = new Map<string, string[]>()
  const visit = (source: Buffer, path: string): void => {
    const stats = lstatSync(source, { bigint: true })
    const isDirectory = stats.isDirectory()
    let links: string[] = []
    if (!isDirectory && stats.nlink > 1n) {
      const inode = `${stats.dev}:${stats.ino}`
      links = names.get(inode) ?? []
      links.push(path)
      names.set(inode, links)
    }
    nodes.push(describeNode(source, path, stats, links))
    if (!isDirectory) return
    for (const name of readdirSync(source, { encoding: 'buffer' }).sort(Buffer.compare)) {
      const child = name.toString('latin1')
      visit(
        Buffer.concat([source, Buffer.from('/'), name]),
        path === '.' ? child : `${path}/${child}`,
      )
    }
  }
  visit(Buffer.from(dir), '.')
  return nodes.sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** {@link describeTree} as a map by path, with only the fields that a test asks about. */
export function treeByPath<Field extends keyof TreeNode>(
  dir: string | Buffer,
  ...fields: readonly Field[]
): Record<string, Pick<TreeNode, Field>> {
  return Object.fromEntries(
    describeTree(dir).map((node) => [
      node.path,
      Object.fromEntries(fields.map((field) => [field, node[field]])) as Pick<TreeNode, Field>,
    ]),
  )
}

/**
 * The differences between two trees, one line each, `[]` when there are none. Easier to read than a deep comparison of large
 * trees.
 */
export function compareTrees(
  actual: readonly TreeNode[],
  expected: readonly TreeNode[],
  ignored: readonly (keyof TreeNode)[] = [],
): string[] {
  const wanted = new Map(expected.map((node) => [node.path, node]))
  const differences: string[] = []
  for (const node of actual) {
    const other = wanted.get(node.path)
    wanted.delete(node.path)
    if (other === undefined) {
      differences.push(`${JSON.stringify(node.path)}: only in actual (${node.type})`)
      continue
    }
    for (const field of Object.keys(node) as (keyof TreeNode)[]) {
      const [have, want] = [text(node[field]), text(other[field])]
      if (ignored.includes(field) || have === want) continue
      differences.push(`${JSON.stringify(node.path)}: ${field} is ${have}, expected ${want}`)
    }
  }
  for (const path of wanted.keys()) differences.push(`${JSON.stringify(path)}: missing`)
  return differences
}

function text(value: unknown): string {
  return JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? String(inner) : inner))
}

function describeNode(
  source: Buffer,
  path: string,
  stats: BigIntStats,
  links: readonly string[],
): TreeNode {
  const type = typeOf(stats)
  const content = type === 'file' ? readFileSync(source) : undefined
  return {
    path,
    type,
    mode: (stats.mode & 0o7777n).toString(8),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtimeNs: stats.mtimeNs,
    size: content?.length ?? 0,
    sha256: content === undefined ? '' : createHash('sha256').update(content).digest('hex'),
    target:
      type === 'symlink' ? readlinkSync(source, { encoding: 'buffer' }).toString('latin1') : '',
    nlink: type === 'directory' ? 0 : Number(stats.nlink),
    links,
    rdev: type === 'character' || type === 'block' ? stats.rdev : 0n,
    xattrs: Object.fromEntries(
      listXattrs(source).map((name) => [name, getXattr(source, name)?.toString('hex') ?? '']),
    ),
  }
}

function typeOf(stats: BigIntStats): TreeNode['type'] {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symlink'
  if (stats.isCharacterDevice()) return 'character'
  if (stats.isBlockDevice()) return 'block'
  return stats.isFIFO() ? 'fifo' : 'socket'
}
