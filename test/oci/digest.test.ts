import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  DIGEST_ALGORITHMS,
  type DigestAlgorithm,
  digestAlgorithm,
  digestHex,
  digestOf,
  finishDigest,
  isDigest,
  isDigestAlgorithm,
  parseDigest,
} from '#oci/digest.ts'

const HEX_64 = '0123456789abcdef'.repeat(4)

const REFUSED: readonly (readonly [string, unknown])[] = [
  ['the empty string', ''],
  ['an algorithm alone', 'sha256:'],
  ['hex alone', HEX_64],
  ['hex with a colon before it', `:${HEX_64}`],
  ['too little hex', `sha256:${HEX_64.slice(1)}`],
  ['too much hex', `sha256:${HEX_64}0`],
  ['upper-case hex', `sha256:${HEX_64.toUpperCase()}`],
  ['an upper-case algorithm', `SHA256:${HEX_64}`],
  ['letters that are not hex', `sha256:${'g'.repeat(64)}`],
  ['the length of another algorithm', `sha512:${HEX_64}`],
  ['a known algorithm that is not supported', `sha384:${'0'.repeat(96)}`],
  ['a name of Object.prototype', `constructor:${HEX_64}`],
  ['a separator at the end of the algorithm', `sha256+:${HEX_64}`],
  ['two separators in the algorithm', `sha256++b64:${HEX_64}`],
  ['two colons', `sha256:sha256:${HEX_64}`],
  ['a line feed at the end', `sha256:${HEX_64}\n`],
  ['a space before it', ` sha256:${HEX_64}`],
  ['a path (CVE-2024-3727)', `sha256:../${HEX_64.slice(3)}`],
  ['digits of another script', `sha256:${'٣'.repeat(64)}`],
  ['a number', 12],
  ['null', null],
  ['undefined', undefined],
  ['an object that prints as a digest', { toString: () => `sha256:${HEX_64}` }],
]

describe('digest', () => {
  it('accepts sha256 and sha512 in lower-case hex', () => {
    for (const text of [`sha256:${HEX_64}`, `sha512:${HEX_64}${HEX_64}`]) {
      assert.equal(parseDigest(text), text)
      assert.equal(isDigest(text), true)
    }
  })

  for (const [what, value] of REFUSED) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parseDigest(value), { code: 'DIGEST_MALFORMED' })
      if (typeof value === 'string') assert.equal(isDigest(value), false)
    })
  }

  it('refuses hostile texts without getting lost in them', { timeout: 60_000 }, () => {
    const texts = ['a+'.repeat(500_000), `${'a'.repeat(1_000_000)}:`, ':'.repeat(1_000_000)]
    for (const text of texts) assert.throws(() => parseDigest(text), { code: 'DIGEST_MALFORMED' })
  })

  it('quotes at most a part of a long text in its message', () => {
    assert.throws(
      () => parseDigest('x'.repeat(1_000_000)),
      (error: Error) => error.message.length < 300,
    )
  })

  it('knows its algorithms by their own names only', () => {
    assert.deepEqual(Object.keys(DIGEST_ALGORITHMS).filter(isDigestAlgorithm), ['sha256', 'sha512'])
    assert.equal(isDigestAlgorithm('toString'), false)
    assert.equal(isDigestAlgorithm('sha1'), false)
  })

  it('digests as FIPS 180 says', () => {
    assert.equal(
      digestOf('abc'),
      'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    )
    assert.equal(
      digestOf('', 'sha256'),
      'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    )
    assert.equal(
      digestOf(Buffer.from('abc'), 'sha512'),
      'sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a' +
        '2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    )
  })

  it('is taken apart into the algorithm and hex that made it, for any bytes in any pieces', () => {
    const algorithms = fc.constantFrom<DigestAlgorithm>('sha256', 'sha512')
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), algorithms, (pieces, algorithm) => {
        const hash = createHash(algorithm)
        for (const piece of pieces) hash.update(piece)
        const digest = finishDigest(algorithm, hash)
        assert.equal(parseDigest(digest), digest)
        assert.equal(digest, digestOf(Buffer.concat(pieces), algorithm))
        assert.equal(`${digestAlgorithm(digest)}:${digestHex(digest)}`, digest)
        assert.equal(digestAlgorithm(digest), algorithm)
        assert.equal(digestHex(digest).length, DIGEST_ALGORITHMS[algorithm])
      }),
    )
  })
})
