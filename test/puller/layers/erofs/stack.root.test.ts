import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isDrayError } from '#oci/error.ts'
import type { LayerImage } from '#puller/layers/erofs/mount.ts'
import { findFixups, type StackedLayer, writeFixups } from '#puller/layers/implied.ts'
import { mountReadOnly, unmountIdle } from '#puller/mounting.ts'
import { compareTrees, describeTree, type TreeNode } from '../../../support/tree.ts'
import { archive } from '../../tar/archive.ts'
import { extractInto, scratch } from '../extraction.ts'
import { randomLayer } from '../random-layer.ts'
import { indexTar, withMounted } from './image.ts'

/** What a container would see of a stack, its fix-up on top. */
function seenThroughOverlay(dir: string, layers: readonly StackedLayer[]): TreeNode[] {
  const [merged, fixup, empty] = ['merged', 'fixup', 'empty'].map((name) => join(dir, name))
  for (const path of [merged, fixup, empty]) mkdirSync(path ?? '', { recursive: true })
  const fixups = findFixups(layers)
  writeFixups(fixups, fixup ?? '', { asRoot: true })
  const top = fixups.length === 0 ? [] : [fixup]
  const stack = [...top, ...layers.map((layer) => String(layer.dir)).reverse(), empty]
  mountReadOnly('overlay', 'overlay', merged ?? '', `lowerdir=${stack.join(':')}`)
  try {
    return describeTree(merged ?? '')
  } finally {
    unmountIdle(merged ?? '')
  }
}

function withAllMounted<T>(layers: readonly LayerImage[], work: () => T): T {
  const [first, ...rest] = layers
  return first === undefined ? work() : withMounted(first, () => withAllMounted(rest, work))
}

interface Made {
  readonly files: StackedLayer
  readonly indexed: StackedLayer
  readonly image: LayerImage
  readonly opaqueRoot: boolean
}

/** A layer in both forms; undefined when it is refused. */
function makeBoth(dir: string, parts: readonly Buffer[]): Made | undefined {
  const tar = archive(...parts)
  mkdirSync(dir)
  try {
    const files = join(dir, 'files')
    const result = extractInto(files, tar, { asRoot: true })
    const { layer } = indexTar(join(dir, 'index'), tar)
    const indexed = { dir: layer.target, ...result }
    const { opaqueRoot } = result
    return { files: { dir: files, ...result }, indexed, image: layer, opaqueRoot }
  } catch (error) {
    if (isDrayError(error, 'LAYER_INVALID')) return undefined
    throw error
  }
}

describe('a stack of random layers', () => {
  it('looks the same through overlay in both forms, with what each layer hides and implies', (t) => {
    const parent = scratch(t)
    let layers = 0
    fc.assert(
      fc.property(fc.array(randomLayer, { minLength: 2, maxLength: 5 }), (stack) => {
        const dir = mkdtempSync(join(parent, 'case-'))
        const made = stack.flatMap((parts, at) => makeBoth(join(dir, String(at)), parts) ?? [])
        // A layer that hides all below it is the lowest of its stack.
        const from = made.findLastIndex(({ opaqueRoot }) => opaqueRoot)
        const visible = made.slice(Math.max(0, from))
        if (visible.length === 0) return
        layers += visible.length
        const expected = seenThroughOverlay(
          dir,
          visible.map(({ files }) => files),
        )
        rmSync(join(dir, 'fixup'), { recursive: true })
        const actual = withAllMounted(
          visible.map(({ image }) => image),
          () =>
            seenThroughOverlay(
              dir,
              visible.map(({ indexed }) => indexed),
            ),
        )
        assert.deepEqual(compareTrees(actual, expected), [])
        rmSync(dir, { recursive: true })
      }),
      { numRuns: 250 },
    )
    assert.ok(layers >= 300, `${layers} layers`)
  })
})
