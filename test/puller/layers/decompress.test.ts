import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { isDrayError } from '#oci/error.ts'
import { decompress } from '#puller/layers/decompress.ts'

const isCompressionInvalid = (error: unknown) => isDrayError(error, 'COMPRESSION_INVALID')

/** Feeds bytes in pieces of `size`, through the event loop. */
async function* pieces(bytes: Buffer, size = bytes.length): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) {
    await new Promise(setImmediate)
    yield bytes.subarray(at, at + size)
  }
}

async function expand(bytes: Buffer, options: { size?: number; maxBytes?: number } = {}) {
  const { size, maxBytes } = options
  const chunks: Buffer[] = []
  const limit = maxBytes === undefined ? {} : { maxBytes }
  for await (const chunk of decompress(pieces(bytes, size), limit)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const gzip = (text: string | Buffer) => gzipSync(text)
const zstd = (text: string | Buffer) => zstdCompressSync(Buffer.from(text))

function skippable(content: string): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32LE(0x184d2a53)
  head.writeUInt32LE(content.length, 4)
  return Buffer.concat([head, Buffer.from(content)])
}

const LARGE = Buffer.from(
  Array.from({ length: 300_000 }, (_, index) => (index * 7919) % 65_536).join(),
)

describe('decompression', () => {
  const streams: Readonly<Record<string, readonly [Buffer, string]>> = {
    'one gzip member': [gzip('one'), 'one'],
    'several gzip members': [Buffer.concat([gzip('one'), gzip(''), gzip('two')]), 'onetwo'],
    'one zstd frame': [zstd('one'), 'one'],
    'several zstd frames': [Buffer.concat([zstd('one'), zstd(''), zstd('two')]), 'onetwo'],
    'skippable zstd frames everywhere': [
      Buffer.concat([
        skippable('a'),
        skippable(''),
        zstd('one'),
        skippable('zstd:chunked table of contents'),
        zstd('two'),
        skippable('x'.repeat(1000)),
      ]),
      'onetwo',
    ],
    'no compression': [Buffer.from('plain bytes'), 'plain bytes'],
    'a few plain bytes': [Buffer.from('ab'), 'ab'],
    'an empty blob': [Buffer.alloc(0), ''],
  }
  for (const [what, [bytes, expected]] of Object.entries(streams)) {
    it(`reads ${what}, in pieces of any size`, async () => {
      for (const size of [1, 2, 7, 23, 24, Math.max(1, bytes.length)]) {
        assert.equal((await expand(bytes, { size })).toString(), expected)
      }
    })
  }

  it('reads large streams in pieces of any size', async () => {
    const plain = Buffer.concat([LARGE, LARGE])
    const joined = [
      Buffer.concat([gzip(LARGE), gzip(LARGE)]),
      Buffer.concat([zstd(LARGE), skippable('x'), zstd(LARGE)]),
      plain,
    ]
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...joined),
        fc.integer({ min: 1000, max: 3_000_000 }),
        async (bytes, size) => {
          assert.ok((await expand(bytes, { size })).equals(plain))
        },
      ),
      { numRuns: 30 },
    )
  })

  it('reads the many small frames of zstd:chunked layers', async () => {
    const frames = Array.from({ length: 500 }, (_, index) => zstd(`${index};`))
    const expected = Array.from({ length: 500 }, (_, index) => `${index};`).join('')
    assert.equal((await expand(Buffer.concat(frames))).toString(), expected)
  })

  it('refuses a stream that is cut off at any byte', async () => {
    for (const whole of [gzip('some content'), zstd('some content')]) {
      for (let end = 4; end < whole.length; end++) {
        await assert.rejects(expand(whole.subarray(0, end)), isCompressionInvalid, String(end))
      }
    }
    const second = Buffer.concat([gzip('one'), gzip('two')])
    await assert.rejects(expand(second.subarray(0, -1)), isCompressionInvalid)
    await assert.rejects(expand(Buffer.concat([zstd('a'), skippable('abc').subarray(0, -1)])))
  })

  const tails: Readonly<Record<string, Buffer>> = {
    zeros: Buffer.alloc(100),
    'one zero': Buffer.alloc(1),
    'many zeros': Buffer.alloc(1_000_000),
    garbage: Buffer.from('garbage'),
    'zeros and another stream': Buffer.concat([Buffer.alloc(8), gzip('two')]),
  }
  for (const [what, tail] of Object.entries(tails)) {
    it(`refuses ${what} after the end`, async () => {
      for (const whole of [gzip('one'), zstd('one')]) {
        const bytes = Buffer.concat([whole, tail])
        await assert.rejects(expand(bytes), isCompressionInvalid)
        await assert.rejects(expand(bytes, { size: whole.length }), isCompressionInvalid)
      }
    })
  }

  it('refuses damage', async () => {
    for (const whole of [gzip('some content'), zstdCompressSync(LARGE)]) {
      const bytes = Buffer.from(whole)
      bytes.fill(0xff, bytes.length - 9)
      await assert.rejects(expand(bytes), isCompressionInvalid)
    }
  })

  it('refuses formats that layers may not have', async () => {
    for (const magic of ['BZh91AY', '\xfd7zXZ\0', '\x04\x22\x4d\x18', 'LZIP\x01']) {
      await assert.rejects(expand(Buffer.from(magic, 'latin1')), {
        code: 'COMPRESSION_INVALID',
        message: / -d unpacks it\)/,
      })
    }
  })

  it('stops at its limit, having inflated little more', async () => {
    const bomb = gzip(Buffer.alloc(64 * 1024 * 1024))
    let seen = 0
    await assert.rejects(async () => {
      for await (const chunk of decompress(pieces(bomb), { maxBytes: 1_000_000 })) {
        seen += chunk.length
      }
    }, isCompressionInvalid)
    assert.ok(seen <= 1_000_000)
    assert.equal((await expand(gzip('abc'), { maxBytes: 3 })).toString(), 'abc')
    await assert.rejects(expand(Buffer.from('abcd'), { maxBytes: 3 }), isCompressionInvalid)
  })

  it('passes on the error of its input', async () => {
    const failure = new Error('connection lost')
    async function* broken(bytes: Buffer): AsyncGenerator<Buffer> {
      yield bytes
      throw failure
    }
    for (const bytes of [gzip('one').subarray(0, 12), zstd('one').subarray(0, 8), LARGE]) {
      await assert.rejects(async () => {
        for await (const _ of decompress(broken(bytes)));
      }, failure)
    }
  })

  it('ends its input when the consumer stops, and when it fails itself', async () => {
    let ended = 0
    async function* endless(bytes: Buffer): AsyncGenerator<Buffer> {
      try {
        for (;;) {
          await new Promise(setImmediate)
          yield bytes
        }
      } finally {
        ended++
      }
    }
    for await (const _ of decompress(endless(gzip(LARGE)))) break
    for await (const _ of decompress(endless(LARGE))) break
    await assert.rejects(async () => {
      for await (const _ of decompress(endless(Buffer.concat([gzip('a'), Buffer.from('x')]))));
    })
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.equal(ended, 3)
  })
})
