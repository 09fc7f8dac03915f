import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { serveImage } from '../support/blob-server.ts'
import { dray } from '../support/dray.ts'
import { smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'

describe('dray pull of several images', () => {
  it('pulls each, says which are not to be had, and fails for them in the end', async (t) => {
    const image = smallImage([tarOf({ hello: 'there' })])
    const { host } = await serveImage(t, image)
    const root = join(tempDir(t), 'root')
    const missing = digestOf('missing')
    const names = [`${host}/team/a:1`, `${host}/team/b@${missing}`, `${host}/team/c:1`]
    const options = ['--root', root, '--platform', 'linux/amd64', '--progress', 'none']
    const { code, stdout, stderr } = await dray(['pull', '--no-unpack', ...options, ...names])
    assert.equal(code, 1)
    const digest = image.manifest.digest
    const [first, second] = stdout.split('\n')
    assert.match(first ?? '', new RegExp(`^${names[0]}  ${digest}  \\d+B fetched in `))
    assert.equal(second, `${names[2]}  ${digest}  up to date`)
    assert.equal(stderr, `dray: ${host} has no team/b, or no ${missing} in it\n`)
  })
})
