import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isDrayError } from '#oci/error.ts'
import { compareTrees, describeTree, type TreeNode } from '../../../support/tree.ts'
import { archive } from '../../tar/archive.ts'
import { extractInto, scratch } from '../extraction.ts'
import { randomLayer } from '../random-layer.ts'
import { checkImage, indexTar, whyNoFsck, withMounted } from './image.ts'

/** Overlay looks at a whiteout's type and device number only, and at none of a directory's link counts. */
function comparable(nodes: readonly TreeNode[]): TreeNode[] {
  return nodes.map((node) => {
    const isWhiteout = node.type === 'character' && node.rdev === 0n
    return isWhiteout ? { ...node, mode: '', mtimeNs: 0n, nlink: 0, links: [] } : node
  })
}

function outcome<T>(work: () => T): T | string {
  try {
    return work()
  } catch (error) {
    if (isDrayError(error)) return error.code
    throw error
  }
}

describe('a random layer', () => {
  it('makes the same tree as an EROFS image over its tar and as files, or is refused for both', (t) => {
    const parent = scratch(t)
    const seen = { made: 0, refused: 0 }
    const hasFsck = whyNoFsck() === false
    fc.assert(
      fc.property(randomLayer, (parts) => {
        const tar = archive(...parts)
        const dir = mkdtempSync(join(parent, 'case-'))
        const files = outcome(() => extractInto(join(dir, 'files'), tar, { asRoot: true }))
        const indexed = outcome(() => indexTar(join(dir, 'index'), tar))
        if (typeof files === 'string' || typeof indexed === 'string') {
          seen.refused++
          assert.equal(indexed, files)
        } else {
          seen.made++
          assert.deepEqual(indexed.result, files)
          const expected = comparable(describeTree(join(dir, 'files')))
          const actual = withMounted(indexed.layer, (mounted) => comparable(describeTree(mounted)))
          assert.deepEqual(compareTrees(actual, expected), [])
          if (hasFsck && seen.made % 8 === 0) checkImage(indexed.layer)
        }
        rmSync(dir, { recursive: true })
      }),
      { numRuns: 2500 },
    )
    assert.ok(seen.made > 500 && seen.refused > 100, JSON.stringify(seen))
  })
})
