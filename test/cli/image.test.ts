import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openStore } from '#puller/index.ts'
import { drayHere } from '../support/dray-here.ts'
import { placeImage } from '../support/placed-image.ts'
import { smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'

describe('dray image', () => {
  it('has other names for what is done with images', async (t) => {
    const root = tempDir(t)
    const image = smallImage([tarOf({ hello: 'there' })])
    await placeImage(await openStore(root, { layerStore: 'dir' }), 'localhost/app:1', image)
    const { digest } = image.manifest
    const run = (verb: string, ...args: readonly string[]) =>
      drayHere(['image', verb, '--root', root, ...args])
    const ok = async (...args: readonly [string, ...string[]]) => {
      const { code, stdout, stderr } = await run(...args)
      assert.equal(code, 0, stderr)
      return stdout.trim()
    }
    assert.equal(await ok('tag', 'localhost/app:1', 'localhost/app:2'), '')
    assert.equal(await ok('ls', '-q'), digest)
    assert.equal(await ok('inspect', '-f', '{{.Id}}', 'localhost/app:2'), digest)
    assert.equal(await ok('history', '-q', '--no-trunc', 'localhost/app:2'), digest)
    assert.equal(await ok('rm', 'localhost/app:2'), 'Untagged: localhost/app:2')
    const gone = await run('inspect', 'localhost/app:2')
    assert.deepEqual([gone.code, gone.stdout], [1, '[]\n'])
    assert.match(gone.stderr, /^dray: no image "localhost\/app:2" in the local store/)
  })
})
