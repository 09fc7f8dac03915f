import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { constants, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { inflateSmallFrame, smallFrameLength } from '#puller/layers/zstd-frame.ts'

const content = fc
  .tuple(fc.uint8Array({ maxLength: 2000 }), fc.integer({ min: 1, max: 60 }), fc.boolean())
  .map(([bytes, times, isRun]) =>
    isRun ? Buffer.alloc(bytes.length * times, 'r') : Buffer.concat(Array(times).fill(bytes)),
  )

const flags = fc.record({
  [constants.ZSTD_c_checksumFlag]: fc.constantFrom(0, 1),
  [constants.ZSTD_c_contentSizeFlag]: fc.constantFrom(0, 1),
  [constants.ZSTD_c_compressionLevel]: fc.constantFrom(1, 3, 12),
})

describe('the length of a small zstd frame', () => {
  it('is found without decompressing it, whatever follows', () => {
    fc.assert(
      fc.property(content, flags, fc.uint8Array(), (plain, params, tail) => {
        const frame = zstdCompressSync(plain, { params })
        const length = smallFrameLength(Buffer.concat([frame, tail]))
        assert.equal(length, frame.length)
        assert.ok(inflateSmallFrame(frame).equals(plain))
      }),
    )
  })

  it('is not told of a frame that is cut off', () => {
    const frame = zstdCompressSync('some content'.repeat(100))
    for (let end = 0; end < frame.length; end++) {
      assert.equal(smallFrameLength(frame.subarray(0, end)), undefined)
    }
  })

  it('is not told of a frame of many blocks, however short', () => {
    assert.equal(smallFrameLength(zstdCompressSync(Buffer.alloc(64 * 1024 * 1024))), undefined)
  })
})
