import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { chainId, chainIds } from '#oci/chain-id.ts'
import { digestOf, parseDigest } from '#oci/digest.ts'

const A = parseDigest(`sha256:${'a'.repeat(64)}`)
const B = parseDigest(`sha256:${'b'.repeat(64)}`)
const C = parseDigest(`sha256:${'c'.repeat(64)}`)

describe('chainID', () => {
  it('is undefined for no layer and the diffID for one', () => {
    assert.equal(chainId([]), undefined)
    assert.deepEqual(chainIds([]), [])
    assert.equal(chainId([A]), A)
  })

  // printf 'sha256:aa.. sha256:bb..' | sha256sum, and the same again with the result and sha256:cc..
  it('agrees with sha256sum', () => {
    assert.deepEqual(chainIds([A, B, C]), [
      A,
      'sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c',
      'sha256:c1377126441fb2f5ec2c21ae2a60255331d639e830f0ee1b40a36e52d4c40588',
    ])
  })

  it('tells stacks apart that differ in order, in one layer or in height', () => {
    const ids = [[A, B, C], [A, C, B], [B, A, C], [A, B], [A, B, B], [A, A], [A]].map(chainId)
    assert.equal(new Set(ids).size, ids.length)
  })

  it('is the digest of the chainID below and the diffID on top, at every height', () => {
    const layers = fc.array(
      fc.uint8Array().map((bytes) => digestOf(bytes)),
      { minLength: 1 },
    )
    fc.assert(
      fc.property(layers, (diffIds) => {
        const chain = chainIds(diffIds)
        assert.equal(chain.length, diffIds.length)
        assert.equal(chain.at(-1), chainId(diffIds))
        for (let n = 1; n < chain.length; n++) {
          const hash = createHash('sha256').update(`${chain[n - 1]} ${diffIds[n]}`)
          assert.equal(chain[n], `sha256:${hash.digest('hex')}`)
          assert.equal(chain[n], chainId(diffIds.slice(0, n + 1)))
        }
      }),
    )
  })
})
