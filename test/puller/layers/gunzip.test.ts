import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { constants, crc32, deflateRawSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { isDrayError } from '#oci/error.ts'
import { createChunkSource } from '#puller/layers/chunk-source.ts'
import { type Gunzip, gunzipByZlib } from '#puller/layers/decompress.ts'
import { loadIsal } from '#puller/layers/isal.ts'
import { gunzipByIsal } from '#puller/layers/isal-gunzip.ts'

const isal = loadIsal()
const skip = isal === undefined ? 'needs libisal (apt-get install libisal2)' : false
const byIsal: Record<string, Gunzip> =
  isal === undefined
    ? {}
    : {
        libisal: (source) => gunzipByIsal(source, isal, () => false),
        'libisal beside': (source) => gunzipByIsal(source, isal, () => true),
        'libisal, beside now and then': (source) => {
          let calls = 0
          return gunzipByIsal(source, isal, () => calls++ % 3 !== 1)
        },
      }
const GUNZIPS: Readonly<Record<string, Gunzip>> = { zlib: gunzipByZlib, ...byIsal }

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** The content, or that it was refused. Chunks are copied: the next one may overwrite them. */
async function expand(gunzip: Gunzip, bytes: Buffer, size = bytes.length): Promise<Buffer | 'bad'> {
  const chunks: Buffer[] = []
  try {
    const source = createChunkSource(pieces(bytes, size), 1)
    for await (const chunk of gunzip(source)) chunks.push(Buffer.from(chunk))
    return Buffer.concat(chunks)
  } catch (error) {
    if (isDrayError(error, 'COMPRESSION_INVALID')) return 'bad'
    throw error
  }
}

const CONTENT = Buffer.from('some content, some more content, and some content again')

interface Parts {
  readonly flags?: number
  readonly method?: number
  /** What stands between the fixed part of the header and the data. */
  readonly fields?: Buffer
  readonly headerCrc?: 'right' | 'wrong'
  readonly crc?: number
  readonly length?: number
}

/** A gzip member, put together by hand. */
function member(content: Buffer, parts: Parts = {}): Buffer {
  const { flags = 0, method = 8, fields = Buffer.alloc(0), headerCrc } = parts
  const start = Buffer.from([0x1f, 0x8b, method, flags, 0, 0, 0, 0, 0, 3])
  const header = Buffer.concat([start, fields])
  const check = Buffer.alloc(headerCrc === undefined ? 0 : 2)
  if (headerCrc !== undefined) {
    check.writeUInt16LE((crc32(header) & 0xffff) ^ (headerCrc === 'right' ? 0 : 1))
  }
  const trailer = Buffer.alloc(8)
  trailer.writeUInt32LE(parts.crc ?? crc32(content), 0)
  trailer.writeUInt32LE(parts.length ?? content.length, 4)
  return Buffer.concat([header, check, deflateRawSync(content), trailer])
}

const name = Buffer.from('name\0')
const extra = Buffer.from('\x03\x00abc', 'latin1')
const whole = member(CONTENT)

const STREAMS: Readonly<Record<string, readonly [Buffer, Buffer | 'bad']>> = {
  'one member': [whole, CONTENT],
  'several members': [
    Buffer.concat([whole, member(Buffer.alloc(0)), member(Buffer.from('two'))]),
    Buffer.concat([CONTENT, Buffer.from('two')]),
  ],
  'a header with every field': [
    member(CONTENT, {
      flags: 0x1f,
      fields: Buffer.concat([extra, name, Buffer.from('comment\0')]),
      headerCrc: 'right',
    }),
    CONTENT,
  ],
  'a header with an extra field and a name': [
    member(CONTENT, { flags: 0x0c, fields: Buffer.concat([extra, name]) }),
    CONTENT,
  ],
  'a header with a wrong crc': [
    member(CONTENT, { flags: 0x0a, fields: name, headerCrc: 'wrong' }),
    'bad',
  ],
  'unknown flags': [member(CONTENT, { flags: 0x20 }), 'bad'],
  'an unknown method': [member(CONTENT, { method: 7 }), 'bad'],
  'a name without an end': [member(CONTENT, { flags: 0x08 }).subarray(0, 12), 'bad'],
  'a wrong crc': [member(CONTENT, { crc: 1 }), 'bad'],
  'a wrong length': [member(CONTENT, { length: 1 }), 'bad'],
  'a wrong crc in the second member': [Buffer.concat([whole, member(CONTENT, { crc: 1 })]), 'bad'],
  'a zero after the end': [Buffer.concat([whole, Buffer.alloc(1)]), 'bad'],
  'many zeros after the end': [Buffer.concat([whole, Buffer.alloc(1000)]), 'bad'],
  'garbage after the end': [Buffer.concat([whole, Buffer.from('garbage')]), 'bad'],
  'half a magic number after the end': [Buffer.concat([whole, Buffer.from([0x1f])]), 'bad'],
  'zeros before another member': [Buffer.concat([whole, Buffer.alloc(8), whole]), 'bad'],
}

for (const [inflater, gunzip] of Object.entries(GUNZIPS)) {
  describe(`gunzip by ${inflater}`, () => {
    for (const [what, [bytes, expected]] of Object.entries(STREAMS)) {
      it(`${expected === 'bad' ? 'refuses' : 'reads'} ${what}, in pieces of any size`, async () => {
        for (const size of [1, 2, 3, 7, 11, 64, bytes.length]) {
          const result = await expand(gunzip, bytes, size)
          assert.deepEqual(result, expected, `in pieces of ${size}`)
        }
      })
    }

    it('refuses a stream that is cut off at any byte', async () => {
      const bytes = STREAMS['a header with every field']?.[0] ?? whole
      for (let end = 1; end < bytes.length; end++) {
        assert.equal(await expand(gunzip, bytes.subarray(0, end)), 'bad', String(end))
      }
    })

    it('refuses a stream with a flipped bit wherever that changes the content', async () => {
      for (let at = 10 * 8; at < whole.length * 8; at++) {
        const bytes = Buffer.from(whole)
        bytes[at >> 3] = (bytes[at >> 3] ?? 0) ^ (1 << (at & 7))
        const result = await expand(gunzip, bytes)
        if (result !== 'bad') assert.deepEqual(result, CONTENT)
      }
    })
  })
}

/** Content with runs, repeats at every distance, and noise. */
const content = fc
  .array(
    fc.oneof(
      fc.tuple(fc.constantFrom('noise'), fc.uint8Array({ maxLength: 20_000, minLength: 1 })),
      fc.tuple(fc.constantFrom('repeat'), fc.uint8Array({ maxLength: 40, minLength: 1 })),
    ),
    { maxLength: 12 },
  )
  .map((parts) =>
    Buffer.concat(
      parts.map(([kind, bytes]) =>
        kind === 'noise' ? Buffer.from(bytes) : Buffer.alloc(bytes.length * 5000, bytes),
      ),
    ),
  )

const options = fc.record({
  level: fc.integer({ min: 0, max: 9 }),
  strategy: fc.constantFrom(
    constants.Z_DEFAULT_STRATEGY,
    constants.Z_FILTERED,
    constants.Z_HUFFMAN_ONLY,
    constants.Z_RLE,
    constants.Z_FIXED,
  ),
  memLevel: fc.integer({ min: 1, max: 9 }),
  windowBits: fc.integer({ min: 9, max: 15 }),
})

describe('libisal beside zlib', { skip }, () => {
  it('gives back what was compressed, however it was and in whatever pieces it comes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(content, options), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 300_000 }),
        async (members, size) => {
          const bytes = Buffer.concat(members.map(([plain, how]) => gzipSync(plain, how)))
          const plain = Buffer.concat(members.map(([part]) => part))
          for (const gunzip of Object.values(byIsal)) {
            const result = await expand(gunzip, bytes, Math.max(size, bytes.length >> 8))
            assert.ok(result !== 'bad' && result.equals(plain))
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it('agrees on damaged streams', async () => {
    const damage = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255)), {
      minLength: 1,
      maxLength: 4,
    })
    await fc.assert(
      fc.asyncProperty(content, options, damage, async (plain, how, bytesAt) => {
        const bytes = gzipSync(plain, how)
        for (const [where, byte] of bytesAt) bytes[Math.floor(where * bytes.length)] = byte
        const expected = await expand(gunzipByZlib, bytes)
        for (const gunzip of Object.values(byIsal)) {
          const result = await expand(gunzip, bytes)
          assert.ok(
            expected === 'bad' || result === 'bad' ? result === expected : expected.equals(result),
          )
        }
      }),
      { numRuns: 300 },
    )
  })
})
