import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { digestOf } from '#oci/digest.ts'
import { isDrayError } from '#oci/error.ts'
import { unpackLayer, type UnpackOptions } from '#puller/layers/unpack.ts'
import { describeTree } from '../../support/tree.ts'
import { archive, directory, file } from '../tar/archive.ts'
import { scratch } from './extraction.ts'
import type { TestContext } from 'node:test'

const TAR = archive(directory('./'), file('f', 'hello'), file('d/g', 'x'.repeat(100_000)))

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

async function unpack(t: TestContext, blob: Buffer, options: UnpackOptions = { asRoot: false }) {
  const dir = join(scratch(t), 'layer')
  mkdirSync(dir)
  return { dir, result: await unpackLayer(once(blob), { form: 'dir', dir }, options) }
}

describe('unpacking a layer', () => {
  it('gives one tree and one diffID however the blob is compressed', async (t) => {
    const trees = []
    for (const blob of [TAR, gzipSync(TAR), zstdCompressSync(TAR)]) {
      const { dir, result } = await unpack(t, blob)
      assert.equal(result.diffId, digestOf(TAR))
      assert.equal(result.tarBytes, TAR.length)
      assert.equal(result.bytes, 100_005)
      assert.equal(result.entries, 3)
      assert.deepEqual(result.implied, ['d'])
      trees.push(describeTree(dir))
    }
    assert.deepEqual(trees[1], trees[0])
    assert.deepEqual(trees[2], trees[0])
  })

  it('counts bytes after the end of the archive into the diffID', async (t) => {
    const longer = Buffer.concat([TAR, Buffer.alloc(9000), Buffer.from('more')])
    const { result } = await unpack(t, gzipSync(longer))
    assert.equal(result.diffId, digestOf(longer))
  })

  it('takes an empty blob for an empty layer', async (t) => {
    const { dir, result } = await unpack(t, Buffer.alloc(0))
    assert.equal(result.diffId, digestOf(''))
    assert.deepEqual(
      describeTree(dir).map(({ path }) => path),
      ['.'],
    )
  })

  it('fails with the code of the part that failed', async (t) => {
    const cases = [
      [gzipSync(TAR).subarray(0, -4), 'COMPRESSION_INVALID'],
      [gzipSync(TAR.subarray(0, 1000)), 'TAR_INVALID'],
      [gzipSync(archive(file('f'), file('f/g'))), 'LAYER_INVALID'],
    ] as const
    for (const [blob, code] of cases) {
      await assert.rejects(unpack(t, blob), (error) => isDrayError(error, code))
    }
    await assert.rejects(unpack(t, gzipSync(TAR), { asRoot: false, maxTarBytes: 1000 }), (error) =>
      isDrayError(error, 'COMPRESSION_INVALID'),
    )
  })

  it('stops when it is aborted', async (t) => {
    const signal = AbortSignal.abort(new Error('enough'))
    await assert.rejects(unpack(t, gzipSync(TAR), { asRoot: false, signal }), /enough/)
  })
})
