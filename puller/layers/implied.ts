import { lstatSync, mkdirSync } from 'node:fs'
import { getXattr, listXattrs } from '../sys.ts'
import { timeFromNs } from '../tar/entry.ts'
import { isOverlayXattr } from '../tar/xattr-names.ts'
import { createAttributeWriter } from './dir/attributes.ts'

/** One layer of a stack: its tree, and the directories in it that its archive implied without listing them. */
export interface StackedLayer {
  readonly dir: string | Buffer
  /** Binary strings relative to `dir`, '' being `dir` itself, as unpacking reports them. */
  readonly implied: readonly string[]
  /** Directories that hold whiteouts, likewise. Default none. */
  readonly whiteoutParents?: readonly string[]
}

/** A directory of a fix-up layer. */
export interface FixupDirectory {
  /** Relative to the root, '' being the root, as a binary string. */
  readonly path: string
  /** Host path of the directory that has the attributes it must show. */
  readonly source: Buffer
}

/**
 * The fix-up layer of a stack: directories only, to be stacked on top. A layer that holds `a/b/file` but no entry for `a` and
 * `a/b` has to have them in its tree, with made-up attributes that would hide those of a lower layer; the fix-up shows the right
 * ones again, and layer trees stay as their archives made them, shared between images. What counts is the nearest
 * lower layer that lists the directory, unless something in between removed it: a whiteout, a file, an opaque parent.
 *
 * A directory with whiteouts that no other layer has is in the fix-up too: overlay looks for whiteouts only in directories that
 * it merges from several layers, and would list them in any other.
 *
 * @param layers lowest first
 * @returns parents before children; empty when the stack needs no fix-up
 */
export function findFixups(layers: readonly StackedLayer[]): FixupDirectory[] {
  const views = layers.map(createView)
  const fixups = new Map<string, FixupDirectory>()
  const isNeeded = (path: string) =>
    findSource(views, path)?.isElsewhere === true || showsWhiteouts(views, path)
  const suspects = layers.flatMap(({ implied, whiteoutParents = [] }) => [
    ...implied,
    ...whiteoutParents,
  ])
  for (const path of new Set(suspects)) {
    if (!isNeeded(path)) continue
    for (const part of [...ancestorsOf(path), path]) {
      const source = fixups.has(part) ? undefined : findSource(views, part)
      if (source !== undefined) fixups.set(part, { path: part, source: source.path })
    }
  }
  return [...fixups.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** Options of {@link writeFixups}. */
export interface WriteFixupsOptions {
  /** Whether to set owners. Default: whether the process runs as root. */
  readonly asRoot?: boolean
}

/**
 * Makes the tree of a fix-up layer in `dir`, an empty directory: owner, xattrs but overlay's marks, mode and time of each source.
 *
 * @throws SYSCALL_FAILED and errors of `node:fs`
 */
export function writeFixups(
  fixups: readonly FixupDirectory[],
  dir: string | Buffer,
  options: WriteFixupsOptions = {},
): void {
  const attributes = createAttributeWriter(options.asRoot ?? process.geteuid?.() === 0)
  const root = Buffer.from(dir)
  for (const { path } of fixups) if (path !== '') mkdirSync(join(root, path), 0o700)
  for (const { path, source } of fixups.toReversed()) {
    const stats = lstatSync(source, { bigint: true })
    const names = listXattrs(source).filter((name) => !isOverlayXattr(name))
    attributes.toPath(join(root, path), {
      mode: Number(stats.mode & 0o7777n),
      uid: Number(stats.uid),
      gid: Number(stats.gid),
      mtime: timeFromNs(stats.mtimeNs),
      xattrs: new Map(names.map((name) => [name, getXattr(source, name) ?? Buffer.alloc(0)])),
    })
  }
}

/** What a layer has at a path. `absent` and `directory` say nothing of lower layers unless a parent is opaque. */
interface Sight {
  readonly kind: 'absent' | 'directory' | 'other'
  readonly isUnderOpaque: boolean
}

/** A layer, seen through memory. */
interface View {
  readonly root: Buffer
  readonly implied: ReadonlySet<string>
  readonly whiteoutParents: ReadonlySet<string>
  look(path: string): Sight
}

interface Source {
  readonly path: Buffer
  /** Whether it is in a lower layer than the one that shows the directory. */
  readonly isElsewhere: boolean
}

/** Where the attributes of a directory come from; undefined when the stack doesn't show a directory there. */
function findSource(views: readonly View[], path: string): Source | undefined {
  let shown: Buffer | undefined
  for (const view of views.toReversed()) {
    const { kind, isUnderOpaque } = view.look(path)
    if (kind === 'other') break
    const here = join(view.root, path)
    if (kind === 'directory' && !view.implied.has(path)) {
      return { path: here, isElsewhere: shown !== undefined }
    }
    if (kind === 'directory') shown ??= here
    if (isUnderOpaque) break
  }
  return shown === undefined ? undefined : { path: shown, isElsewhere: false }
}

/** Whether a directory holds whiteouts and comes from one layer alone. */
function showsWhiteouts(views: readonly View[], path: string): boolean {
  const shown: View[] = []
  for (const view of views.toReversed()) {
    const { kind, isUnderOpaque } = view.look(path)
    if (kind === 'other') break
    if (kind === 'directory') shown.push(view)
    if (isUnderOpaque) break
  }
  return shown.length === 1 && shown[0]?.whiteoutParents.has(path) === true
}

function createView(layer: StackedLayer): View {
  const root = Buffer.from(layer.dir)
  const seen = new Map<string, { kind: Sight['kind']; isOpaque: boolean }>()
  const inspect = (path: string) => {
    let found = seen.get(path)
    if (found === undefined) {
      found = inspectPath(join(root, path))
      seen.set(path, found)
    }
    return found
  }
  return {
    root,
    implied: new Set(layer.implied),
    whiteoutParents: new Set(layer.whiteoutParents),
    look(path) {
      let isUnderOpaque = false
      for (const parent of ancestorsOf(path)) {
        const { kind, isOpaque } = inspect(parent)
        if (kind !== 'directory') return { kind, isUnderOpaque }
        isUnderOpaque ||= isOpaque
      }
      return { kind: inspect(path).kind, isUnderOpaque }
    },
  }
}

function inspectPath(path: Buffer): { kind: Sight['kind']; isOpaque: boolean } {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return { kind: 'absent', isOpaque: false }
  if (!stats.isDirectory()) return { kind: 'other', isOpaque: false }
  const marks = ['trusted.overlay.opaque', 'user.overlay.opaque']
  const isOpaque = marks.some((name) => getXattr(path, name)?.toString() === 'y')
  return { kind: 'directory', isOpaque }
}

/** From the root down, without the path itself; none for the root. */
function ancestorsOf(path: string): string[] {
  if (path === '') return []
  const names = path.split('/')
  return names.map((_, index) => names.slice(0, index).join('/'))
}

function join(root: Buffer, path: string): Buffer {
  return path === '' ? root : Buffer.concat([root, Buffer.from(`/${path}`, 'latin1')])
}
