import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { finishDigest } from '#oci/digest.ts'
import {
  createDirExtractor,
  type ExtractOptions,
  type ExtractResult,
} from '#puller/layers/extract.ts'
import { createTarReader } from '#puller/tar/reader.ts'
import { describeTree, type TreeNode } from '../../support/tree.ts'

/** A directory that is removed after the test, with modes that forbid it or without. */
export function scratch(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'dray-layer-'))
  t.after(() => {
    execFileSync('chmod', ['-R', 'u+rwX', dir])
    rmSync(dir, { recursive: true })
  })
  return dir
}

/** Extracts an archive into `dir`, which is made. */
export function extractInto(
  dir: string,
  tar: Buffer,
  options: ExtractOptions = { asRoot: false },
): ExtractResult {
  mkdirSync(dir)
  const extractor = createDirExtractor(dir, options)
  try {
    const reader = createTarReader(extractor)
    reader.push(tar)
    reader.end()
    const diffId = finishDigest('sha256', createHash('sha256').update(tar))
    return extractor.finish({ diffId, tarBytes: tar.length })
  } catch (error) {
    extractor.abort()
    throw error
  }
}

/** What became of an archive, and whether anything next to the layer's directory changed. */
export interface Extraction {
  readonly result: ExtractResult | undefined
  readonly error: unknown
  /** Description of the layer's tree by path, as short text: `dir`, `file:content`, `link:target`, `whiteout`, ... */
  readonly tree: Readonly<Record<string, string>>
  readonly nodes: readonly TreeNode[]
  readonly escaped: boolean
}

/** Extracts an archive beside files that it must not touch. */
export function extractGuarded(t: TestContext, tar: Buffer, options?: ExtractOptions): Extraction {
  const parent = scratch(t)
  mkdirSync(join(parent, 'outside'))
  writeFileSync(join(parent, 'outside', 'victim'), 'untouched')
  writeFileSync(join(parent, 'victim'), 'untouched')
  const before = surroundings(parent)
  let result: ExtractResult | undefined
  let error: unknown
  try {
    result = extractInto(join(parent, 'layer'), tar, options)
  } catch (thrown) {
    error = thrown
  }
  const nodes = describeTree(join(parent, 'layer'))
  const tree = Object.fromEntries(nodes.map((node) => [node.path, summary(node)]))
  return { result, error, tree, nodes, escaped: before !== surroundings(parent) }
}

function surroundings(parent: string): string {
  const nodes = describeTree(parent).filter(({ path }) => path !== '.' && !path.startsWith('layer'))
  return JSON.stringify(nodes, (_, value) => (typeof value === 'bigint' ? String(value) : value))
}

function summary(node: TreeNode): string {
  const opaque = node.xattrs['user.overlay.opaque'] ?? node.xattrs['trusted.overlay.opaque']
  if (node.type === 'directory') return opaque === undefined ? 'dir' : 'opaque dir'
  if (node.type === 'symlink') return `link:${node.target}`
  if (node.type === 'character' && node.rdev === 0n) return 'whiteout'
  return node.type === 'file' ? `file:${node.size}` : node.type
}
