import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isDrayError } from '#oci/error.ts'
import { planChunks, type StoredContent } from '#puller/layers/erofs/chunks.ts'

/** Chunks as text: `tar N`, `copy N`, `hole`, N being a block. */
function plan(content: StoredContent): { readonly bits: number; readonly chunks: string[] } {
  let next = 100
  const { bits, indexes } = planChunks(content, (bytes) => {
    const block = next
    next += Math.ceil(bytes / 512)
    return block
  })
  const chunks = Array.from({ length: indexes.length / 8 }, (_, at) => {
    const block = indexes.readUInt32LE(at * 8 + 4)
    const device = indexes.readUInt16LE(at * 8 + 2)
    return block === 0xffffffff ? 'hole' : `${device === 1 ? 'tar' : 'copy'} ${block}`
  })
  return { bits, chunks }
}

describe('the content of a file', () => {
  it('is one chunk when it is stored whole, however long', () => {
    for (const size of [1, 512, 513, 5_000_000_000]) {
      const { bits, chunks } = plan({ size, dataOffset: 1024, sparse: undefined })
      assert.deepEqual(chunks, ['tar 2'])
      assert.ok(512 * 2 ** bits >= size)
    }
  })

  it('is pointed at run by run when the runs lie on blocks', () => {
    const sparse = [
      { offset: 4096, length: 8192 },
      { offset: 16_384, length: 100 },
    ]
    const { bits, chunks } = plan({ size: 16_484, dataOffset: 512, sparse })
    assert.equal(bits, 3)
    assert.deepEqual(chunks, ['hole', 'tar 1', 'tar 9', 'hole', 'tar 17'])
  })

  it('is copied where a run begins or ends inside a block, or lies between blocks of the archive', () => {
    const sparse = [
      { offset: 100, length: 924 },
      { offset: 2048, length: 512 },
    ]
    const { chunks } = plan({ size: 4096, dataOffset: 512, sparse })
    assert.deepEqual(chunks.slice(0, 5), ['copy 100', 'copy 101', 'hole', 'hole', 'copy 102'])
  })

  it('needs few chunks when there is little to store', () => {
    const sparse = [{ offset: 5_000_000_512, length: 512 }]
    assert.ok(plan({ size: 10_000_000_000, dataOffset: 512, sparse }).chunks.length <= 65)
  })

  it('is refused when no number of a block reaches it, or a hole is absurdly long', () => {
    const far = { size: 1, dataOffset: 2 ** 42, sparse: undefined }
    const long = { size: 2 ** 50, dataOffset: 512, sparse: [] }
    for (const content of [far, long]) {
      assert.throws(
        () => plan(content),
        (error) => isDrayError(error, 'LAYER_INVALID'),
      )
    }
  })
})
