/** Archives and root file systems that the host's xz and bzip2 unpack. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import { crc32 } from 'node:zlib'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import { importImage, loadImages, openStore } from '#puller/index.ts'
import { decompress } from '#puller/layers/decompress.ts'
import { expandByProgram } from '#puller/layers/host-program.ts'
import { afterTest } from '../../support/after.ts'
import { smallImage, tarOf } from '../../support/small-image.ts'
import { tempDir } from '../../support/temp-dir.ts'

const FORMATS = ['xz', 'bzip2'] as const
const missing = FORMATS.filter((name) => spawnSync(name, ['--help']).status !== 0)
const skip = missing.length > 0 && `needs ${missing.join(' and ')} (apt-get install xz-utils bzip2)`

const platform = parsePlatform('linux/amd64')
const TAR = tarOf({ hello: 'hello', noise: 'n'.repeat(3_000_000) })
const IMAGE = smallImage([TAR])
const CONFIG = IMAGE.blobs.get(IMAGE.config.digest) as Buffer

const pack = (bytes: Buffer, format: string) =>
  execFileSync(format, ['-c', '-1'], { input: bytes, maxBuffer: 1 << 26 })

/** What docker saves, with a layer as it is. */
function dockerArchive(layer: Buffer): Buffer {
  const list = [{ Config: 'config.json', RepoTags: ['app:1'], Layers: ['layer.tar'] }]
  return tarOf({ 'manifest.json': JSON.stringify(list), 'config.json': CONFIG, 'layer.tar': layer })
}

async function newStore(t: TestContext) {
  const store = await openStore(tempDir(t), { layerStore: 'dir' })
  const load = async (archive: Buffer) => {
    const [loaded] = await loadImages(store, Readable.from([archive]), { platform })
    return loaded?.digest
  }
  return { store, load }
}

async function unpack(packed: Buffer): Promise<Buffer> {
  const chunks = decompress(Readable.from([packed]), { others: expandByProgram })
  return Buffer.concat(await Array.fromAsync(chunks))
}

/** A stream of xz that says that it takes a dictionary of a gigabyte. */
function hungry(packed: Buffer): Buffer {
  const bytes = Buffer.from(packed)
  const header = 12 // of the stream; that of the block follows
  const length = ((bytes[header] ?? 0) + 1) * 4
  const dictionary = bytes.indexOf(Buffer.from([0x21, 0x01]), header) + 2
  bytes[dictionary] = 36 // xz-file-format, 5.3.1
  bytes.writeUInt32LE(crc32(bytes.subarray(header, header + length - 4)), header + length - 4)
  return bytes
}

const children = () => readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1')

describe('what the programs of the host unpack', { skip }, () => {
  for (const format of FORMATS) {
    it(`gives the same images packed with ${format}: archives, layers in them, root file systems`, async (t) => {
      const { store, load } = await newStore(t)
      const plain = await load(dockerArchive(TAR))
      assert.equal(await load(pack(dockerArchive(TAR), format)), plain)
      assert.equal(await load(dockerArchive(pack(TAR, format))), plain)
      const path = join(tempDir(t), 'rootfs')
      writeFileSync(path, pack(TAR, format))
      const digests = []
      for (const source of [path, Readable.from([pack(TAR, format)]), Readable.from([TAR])])
        digests.push((await importImage(store, source, parseReference('root:1'))).digest)
      assert.equal(new Set(digests).size, 1)
      // Several streams give their contents one after the other.
      const twice = Buffer.concat([pack(TAR, format), pack(Buffer.from('more'), format)])
      assert.ok((await unpack(twice)).equals(Buffer.concat([TAR, Buffer.from('more')])))
    })

    it(`says what is wrong with what was packed with ${format}, and keeps nothing of it`, async (t) => {
      const { store, load } = await newStore(t)
      const whole = pack(dockerArchive(TAR), format)
      const flipped = Buffer.from(whole)
      flipped.fill(0x55, whole.length >> 1, (whole.length >> 1) + 16)
      // What comes before the end may make no sense to tar.
      await assert.rejects(load(flipped), { message: /cannot unpack it|invalid tar archive/ })
      for (const damaged of [whole.subarray(0, whole.length - 20), whole.subarray(0, 14)])
        await assert.rejects(load(damaged), {
          code: 'COMPRESSION_INVALID',
          message: new RegExp(`^standard input: ${format} cannot unpack it: .`),
        })
      assert.deepEqual(await store.images(), [])
    })
  }

  it('ends the program with the iteration, whether it is at work or waits', async () => {
    const packed = pack(randomBytes(4 * 1024 * 1024), 'xz')
    const endless = new Readable({ read: () => undefined })
    endless.push(packed.subarray(0, packed.length - 100))
    const unpacking = decompress(endless, { others: expandByProgram })
    await unpacking.next()
    assert.notEqual(children().trim(), '')
    await unpacking.return()
    assert.equal(children().trim(), '')
  })

  it('takes no more memory than there may be', async () => {
    await assert.rejects(unpack(hungry(pack(TAR, 'xz'))), {
      code: 'COMPRESSION_INVALID',
      message: /more than 256MiB of memory/,
    })
  })

  it('tells what to install where there is no such program', async (t) => {
    const packed = FORMATS.map((format) => pack(TAR, format))
    const { PATH } = process.env
    afterTest(t, () => {
      process.env.PATH = PATH
    })
    process.env.PATH = tempDir(t)
    for (const [at, name] of ['xz-utils', 'bzip2'].entries())
      await assert.rejects(unpack(packed[at] ?? Buffer.alloc(0)), {
        code: 'COMPRESSION_INVALID',
        message: new RegExp(`install it \\(Debian: ${name}\\)`),
      })
  })

  it('fails as its input does', async () => {
    async function* failing() {
      yield pack(TAR, 'xz').subarray(0, 50)
      throw new Error('the disk is broken')
    }
    const unpacking = Array.fromAsync(decompress(failing(), { others: expandByProgram }))
    await assert.rejects(unpacking, /the disk is broken/)
  })
})
