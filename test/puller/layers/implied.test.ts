import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { findFixups, type StackedLayer, writeFixups } from '#puller/layers/implied.ts'
import { treeByPath } from '../../support/tree.ts'
import { archive, directory, file, header, pax, symlink } from '../tar/archive.ts'
import { extractInto, scratch } from './extraction.ts'

const ROOT = directory('./')

/** Unpacks layers, lowest first, and says which one each directory of the fix-up takes after. */
function fixups(t: TestContext, ...layers: readonly (readonly Buffer[])[]): Record<string, number> {
  const base = scratch(t)
  const stack: StackedLayer[] = layers.map((parts, index) => {
    const dir = join(base, String(index))
    return { dir, ...extractInto(dir, archive(...parts)) }
  })
  return Object.fromEntries(
    findFixups(stack).map(({ path, source }) => {
      const layer = stack.findIndex(({ dir }) =>
        `${source.toString('latin1')}/`.startsWith(`${String(dir)}/`),
      )
      const dir = String(stack[layer]?.dir)
      assert.equal(source.toString('latin1'), path === '' ? dir : `${dir}/${path}`)
      return [path, layer]
    }),
  )
}

describe('directories that a layer implies', () => {
  it('take after the nearest lower layer that lists them', (t) => {
    const seen = fixups(
      t,
      [ROOT, directory('a/'), directory('a/b/'), directory('c/')],
      [ROOT, directory('a/')],
      [ROOT, file('a/b/f'), file('c/f')],
    )
    assert.deepEqual(seen, { '': 2, a: 1, 'a/b': 0, c: 0 })
  })

  it('include the root', (t) => {
    assert.deepEqual(fixups(t, [ROOT], [file('f')]), { '': 0 })
    assert.deepEqual(fixups(t, [file('f')], [file('g')]), {})
  })

  it('need nothing when a higher layer lists them or no layer does', (t) => {
    assert.deepEqual(fixups(t, [ROOT, file('a/f')], [ROOT, file('a/g')]), {})
    assert.deepEqual(
      fixups(t, [ROOT, directory('a/')], [ROOT, file('a/f')], [ROOT, directory('a/')]),
      {},
    )
    assert.deepEqual(fixups(t), {})
  })

  it('stand in the fix-up with their parents, which keep their own attributes', (t) => {
    const seen = fixups(
      t,
      [ROOT, directory('a/'), directory('a/b/'), directory('a/b/c/')],
      [ROOT, directory('a/'), directory('a/b/'), file('a/b/c/f')],
    )
    assert.deepEqual(seen, { '': 1, a: 1, 'a/b': 1, 'a/b/c': 0 })
    const unlisted = fixups(t, [file('x/f'), directory('x/y/')], [file('x/y/f'), ROOT])
    assert.deepEqual(unlisted, { '': 1, x: 1, 'x/y': 0 })
  })

  const below: Readonly<Record<string, readonly (readonly Buffer[])[]>> = {
    'a whiteout in the same layer': [[file('.wh.a'), file('a/f')]],
    'a whiteout later in the same layer': [[file('a/f'), file('.wh.a')]],
    'a whiteout between': [[file('.wh.a')], [file('a/f')]],
    'a file between': [[file('a', 'x')], [file('a/f')]],
    'a symlink between': [[symlink('a', 'b')], [file('a/f')]],
    'an opaque root in the same layer': [[file('.wh..wh..opq'), file('a/f')]],
    'an opaque root between': [[file('.wh..wh..opq')], [file('a/f')]],
  }
  for (const [what, layers] of Object.entries(below)) {
    it(`take after nothing that was removed by ${what}`, (t) => {
      const stack = layers.map((parts) => [...parts, ROOT])
      assert.deepEqual(fixups(t, [ROOT, directory('a/')], ...stack), {})
    })
  }

  it('take after nothing whose parent was replaced', (t) => {
    const lower = [ROOT, directory('p/'), directory('p/a/')]
    for (const upper of [
      [file('p/.wh..wh..opq'), file('p/a/f')],
      [file('.wh.p'), file('p/a/f')],
      [file('p'), directory('p/'), file('p/a/f')],
    ]) {
      const seen = fixups(t, lower, [ROOT, ...upper])
      assert.equal(seen['p/a'], undefined)
    }
  })

  it('keep their attributes when an opaque mark empties them', (t) => {
    const seen = fixups(t, [ROOT, directory('a/')], [ROOT, file('a/.wh..wh..opq')])
    assert.deepEqual(seen, { '': 1, a: 0 })
  })

  it('are left alone where a higher layer hides them', (t) => {
    for (const upper of [file('.wh.a'), file('a', 'x'), header({ name: 'a', type: '6' })]) {
      const seen = fixups(t, [ROOT, directory('a/')], [ROOT, file('a/f')], [ROOT, upper])
      assert.deepEqual(seen, {})
    }
  })
})

describe('directories that hold whiteouts', () => {
  const listed = [ROOT, directory('a/'), directory('a/b/')]

  it('stand in the fix-up when overlay would not merge them with others', (t) => {
    assert.deepEqual(fixups(t, [...listed, file('a/b/.wh.f')]), { '': 0, a: 0, 'a/b': 0 })
    const above = [ROOT, directory('a/'), file('a/.wh.b')]
    assert.deepEqual(fixups(t, [ROOT], above), { '': 1, a: 1 })
  })

  it('need nothing when a lower layer has them too, or a higher one', (t) => {
    const marked = [...listed, file('a/b/.wh.f')]
    assert.deepEqual(fixups(t, listed, marked), {})
    assert.deepEqual(fixups(t, marked, listed), {})
    assert.deepEqual(fixups(t, marked, [ROOT, file('.wh.a')]), {})
    assert.deepEqual(fixups(t, listed, [...marked, file('a/.wh..wh..opq')]), {})
  })
})

describe('a fix-up layer', () => {
  it('is directories with the attributes of their sources, without marks of overlay', (t) => {
    const base = scratch(t)
    const lower = join(base, 'lower')
    const listed = [
      directory('./', 0o711),
      pax(['mtime', '-5.5'], ['SCHILY.xattr.user.a', 'b']),
      directory('a\xff/', 0o1750),
      file('a\xff/.wh..wh..opq'),
      directory('a\xff/b/', 0o500),
      file('a\xff/b/f'),
    ]
    const lowerImplied = extractInto(lower, archive(...listed)).implied
    const upper = join(base, 'upper')
    const { implied } = extractInto(upper, archive(file('a\xff/b/g')))
    const out = join(base, 'fixups')
    mkdirSync(out)
    const stack = [
      { dir: lower, implied: lowerImplied },
      { dir: upper, implied },
    ]
    writeFixups(findFixups(stack), out, { asRoot: false })
    const fields = ['type', 'mode', 'mtimeNs'] as const
    const { 'a\xff/b/f': _, ...expected } = treeByPath(lower, ...fields)
    assert.deepEqual(treeByPath(out, ...fields), expected)
    assert.deepEqual(treeByPath(out, 'xattrs')['a\xff'], {
      xattrs: { 'user.a': Buffer.from('b').toString('hex') },
    })
  })
})
