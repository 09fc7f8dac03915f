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

  it('tells the size of each with system df, shared layers apart, and removes all with rmi -a', async (t) => {
    const root = tempDir(t)
    const store = await openStore(root, { layerStore: 'dir' })
    const shared = tarOf({ hello: 'there' })
    const [one, two] = [smallImage([shared]), smallImage([shared, tarOf({ more: 'x' })])]
    await placeImage(store, 'localhost/app:1', one)
    await placeImage(store, 'localhost/app:2', two)
    await drayHere(['tag', '--root', root, 'localhost/app:1', 'localhost/other:1'])
    const df = await drayHere(['system', 'df', '-v', '--root', root, '--format', 'json'])
    const { Images } = JSON.parse(df.stdout)
    assert.deepEqual(
      Images.map(({ Names, Containers }: { Names: string[]; Containers: number }) => [
        Names,
        Containers,
      ]),
      [
        [['localhost/app:1', 'localhost/other:1'], 0],
        [['localhost/app:2'], 0],
      ],
    )
    for (const { Size, UniqueSize } of Images) assert.ok(UniqueSize > 0 && UniqueSize < Size)
    const text = await drayHere(['system', 'df', '-v', '--root', root])
    assert.match(text.stdout, /^Images:\nIMAGE +SIZE +UNIQUE +CONTAINERS\n/)
    const listed = async (...args: readonly string[]) =>
      (await drayHere(['images', '--root', root, '--format', '{{.Name}}', ...args])).stdout
    const names = ['localhost/app:1', 'localhost/other:1', 'localhost/app:2']
    for (const order of ['size', 'tag'])
      assert.equal(await listed('--sort', order), `${names.join('\n')}\n`, order)
    const table = await listed('-n', '--format', 'table {{.Name}}')
    assert.equal(table, `${names.toSorted().join('\n')}\n`)
    const plain = await drayHere(['images', '--root', root, '-n'])
    assert.match(plain.stdout, /^localhost\/app:1 /)
    const gone = await drayHere(['rmi', '--root', root, '-a'])
    assert.equal(gone.code, 0, gone.stderr)
    for (const name of ['app:1', 'other:1', 'app:2'])
      assert.match(gone.stdout, new RegExp(`^Untagged: localhost/${name}$`, 'm'))
    assert.equal((await drayHere(['images', '--root', root, '-q'])).stdout, '')
    assert.equal((await drayHere(['rmi', '--root', root, '-i', 'nosuch'])).code, 0)
  })
})
