import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isDrayError } from '#oci/error.ts'
import { normalizeAcl } from '#puller/layers/erofs/acl.ts'

const TAGS = { u: 1, U: 2, g: 4, G: 8, m: 16, o: 32 }

/** `u6 U5:1000 g4 m7 o0`: tag, permissions, id. */
function acl(text: string, version = 2): Buffer {
  const entries = text.split(' ').map((word) => {
    const bytes = Buffer.alloc(8)
    bytes.writeUInt16LE(TAGS[word[0] as keyof typeof TAGS] ?? 64, 0)
    bytes.writeUInt16LE(Number(word[1]), 2)
    bytes.writeUInt32LE(Number(word.split(':')[1] ?? 0xffffffff), 4)
    return bytes
  })
  return Buffer.concat([Buffer.from([version, 0, 0, 0]), ...(text === '' ? [] : entries)])
}

describe('a POSIX ACL of a layer', () => {
  it('follows the mode of the file, as after chmod', () => {
    const seen = normalizeAcl(acl('u7 U5:1000 g4 m7 o7'), 0o640)
    assert.deepEqual(seen, acl('u6 U5:1000 g4 m4 o0'))
  })

  it('has ids in its named entries only', () => {
    assert.deepEqual(normalizeAcl(acl('u7:3 g4:3 m7:3 o7:3'), 0o777), acl('u7 g4 m7 o7'))
  })

  it('is left out when it says no more than the mode', () => {
    assert.equal(normalizeAcl(acl('u7 g4 o7'), 0o777), undefined)
    assert.equal(normalizeAcl(acl(''), 0o777), undefined)
  })

  it('stays as it is when it is for what a directory will hold', () => {
    assert.deepEqual(normalizeAcl(acl('u7 g4 o7'), undefined), acl('u7 g4 o7'))
  })

  it('is not for us in another version', () => {
    assert.equal(normalizeAcl(acl('u7 g4 o7', 1), 0o777), 'unsupported')
  })

  it('is refused when the kernel would refuse it', () => {
    const wrong = [
      'u7',
      'g4 u7 o7',
      'u7 g4',
      'u7 g4 m4',
      'u7 U5:1 g4 o7',
      'u8 g4 o4',
      'u7 U5 g4 m4 o4',
    ]
    const cut = [Buffer.from([2, 0]), acl('u7 g4 o7').subarray(0, 27)]
    for (const value of [...wrong.map((text) => acl(text)), ...cut]) {
      assert.throws(
        () => normalizeAcl(value, 0o777),
        (error) => isDrayError(error, 'LAYER_INVALID'),
      )
    }
  })
})
