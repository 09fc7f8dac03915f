import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { DrayError } from '#oci/error.ts'
import { compareTrees, describeTree } from '../../support/tree.ts'
import { archive, directory, file, hardlink, header, long, pax, symlink } from '../tar/archive.ts'
import { extractInto, scratch } from './extraction.ts'

const name = fc.constantFrom('a', 'b', 'c', '..', '.', 'victim', 'outside', '.wh.a', '.wh..wh..opq')
const path = fc
  .tuple(fc.boolean(), fc.array(name, { minLength: 1, maxLength: 4 }))
  .map(([isAbsolute, names]) => (isAbsolute ? '/' : '') + names.join('/'))
const part = fc.oneof(
  path.map((at) => file(at, 'x')),
  path.map((at) => directory(`${at}/`, 0o777)),
  fc.tuple(path, path).map(([at, to]) => symlink(at, to)),
  fc.tuple(path, path).map(([at, to]) => hardlink(at, to)),
  path.map((at) => header({ name: at, type: '6' })),
  path.map((at) => pax(['path', at], ['mtime', '1.5'])),
  path.map((at) => long('L', at)),
)

describe('extraction', () => {
  it('of random entries that cross one another never leaves its directory, nor fails but by DrayError', (t) => {
    const parent = scratch(t)
    mkdirSync(join(parent, 'outside'))
    writeFileSync(join(parent, 'outside', 'victim'), 'untouched')
    writeFileSync(join(parent, 'victim'), 'untouched')
    const before = describeTree(parent)
    const seen = { unpacked: 0, refused: 0 }
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        const holder = mkdtempSync(join(parent, 'layer-'))
        try {
          extractInto(join(holder, 'layer'), archive(...parts))
          seen.unpacked++
        } catch (error) {
          assert.ok(error instanceof DrayError, String(error))
          assert.match(error.code, /^(?:TAR|LAYER)_INVALID$/)
          seen.refused++
        }
        assert.deepEqual(describeTree(holder).length > 0, true)
        rmSync(holder, { recursive: true })
        assert.deepEqual(compareTrees(describeTree(parent), before, ['mtimeNs']), [])
        assert.equal(existsSync('/victim') || existsSync('/outside'), false)
      }),
      { numRuns: 1500 },
    )
    assert.ok(seen.unpacked > 100 && seen.refused > 100, JSON.stringify(seen))
  })

  it('of a damaged archive never fails but by DrayError', (t) => {
    const parent = scratch(t)
    const whole = archive(
      directory('d/'),
      file('d/f', 'content'),
      symlink('s', 'd'),
      hardlink('h', 's/f'),
      pax(['path', 'd/long'], ['SCHILY.xattr.user.a', 'b']),
      file('x', 'y'.repeat(700)),
      file('.wh.gone'),
    )
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: whole.length - 1025 }), fc.nat({ max: 255 })), {
          minLength: 1,
          maxLength: 6,
        }),
        (changes) => {
          const tar = Buffer.from(whole)
          for (const [at, byte] of changes) {
            tar[at] = byte
            const block = tar.subarray(at - (at % 512), at - (at % 512) + 512)
            block.fill(0x20, 148, 156)
            const sum = block.reduce((total, value) => total + value, 0)
            block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
          }
          const holder = mkdtempSync(join(parent, 'layer-'))
          try {
            extractInto(join(holder, 'layer'), tar)
          } catch (error) {
            assert.ok(error instanceof DrayError, String(error))
          }
          assert.deepEqual(
            describeTree(parent).filter(({ path: at }) => !/^layer-[^/]*(?:\/layer|$)/.test(at))
              .length,
            1,
          )
          rmSync(holder, { recursive: true })
        },
      ),
      { numRuns: 1000 },
    )
  })
})
