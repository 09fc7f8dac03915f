import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describe as describeContent, descriptorSchema } from '#oci/descriptor.ts'
import { digestOf } from '#oci/digest.ts'

const MINIMAL = { mediaType: 'application/octet-stream', digest: digestOf('x'), size: 1 }

const accepts = (fields: Record<string, unknown>) =>
  descriptorSchema.safeParse({ ...MINIMAL, ...fields }).success

describe('descriptor', () => {
  it('describes bytes by their digest and length', () => {
    const bytes = Buffer.from('naïve')
    assert.deepEqual(describeContent('text/plain', bytes), {
      mediaType: 'text/plain',
      digest: digestOf(bytes),
      size: 6,
    })
    assert.equal(describeContent('text/plain', Buffer.alloc(0)).size, 0)
  })

  it('needs a media type, a digest and a size', () => {
    assert.equal(accepts({}), true)
    for (const field of Object.keys(MINIMAL)) assert.equal(accepts({ [field]: undefined }), false)
  })

  it('reads every field of the spec, and null as absent', () => {
    const fields = {
      urls: ['https://example.com/x'],
      annotations: { a: 'b' },
      data: 'eA==',
      artifactType: 'application/x',
      platform: { os: 'linux', architecture: 'arm', variant: 'v7', 'os.features': ['x'] },
    }
    assert.deepEqual(
      JSON.parse(JSON.stringify(descriptorSchema.parse({ ...MINIMAL, ...fields }))),
      { ...MINIMAL, ...fields },
    )
    for (const field of Object.keys(fields)) assert.equal(accepts({ [field]: null }), true, field)
  })

  it('refuses fields of the wrong kind', () => {
    for (const fields of [
      { size: -1 },
      { size: 0.5 },
      { size: Number.MAX_SAFE_INTEGER + 1 },
      { size: '1' },
      { digest: 'sha256:00' },
      { mediaType: 'text' },
      { mediaType: `${'a'.repeat(128)}/b` },
      { urls: 'https://example.com' },
      { annotations: { a: 1 } },
      { annotations: [] },
      { data: '%' },
      { platform: { os: 'linux' } },
      { platform: 'linux/amd64' },
    ]) {
      assert.equal(accepts(fields), false, JSON.stringify(fields))
    }
  })

  it('takes media types of 127 characters on each side and registered punctuation', () => {
    assert.equal(accepts({ mediaType: `${'a'.repeat(127)}/${'b'.repeat(127)}` }), true)
    assert.equal(accepts({ mediaType: 'application/vnd.x-y_z.v1!#$&^.tar+gzip' }), true)
    assert.equal(accepts({ mediaType: 'a/b c' }), false)
    assert.equal(accepts({ mediaType: '/b' }), false)
  })
})
