import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Digest, digestOf } from '#oci/digest.ts'
import { createGunzips } from '#puller/layers/inflater.ts'
import { createPrefix } from '#puller/transfer/prefix.ts'
import { processLayer } from '#puller/transfer/process-layer.ts'

const MiB = 1024 * 1024
const PAGE = 4096
const TMPFS = 0x01021994 // linux/magic.h

describe('a blob that was read', () => {
  let dir: string
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'dray-process-layer-'))
  })
  after(() => rmSync(dir, { recursive: true, force: true }))

  for (const { size, kept } of [
    { size: 40, kept: 'stays in the page cache when it is small' },
    { size: 128, kept: 'leaves the page cache but for its end when it is big' },
  ]) {
    it(`${kept} (${size} MiB)`, async (t) => {
      if (statfsSync(dir).type === TMPFS) return t.skip('nothing leaves a tmpfs')
      const path = join(dir, `${size}`)
      const digest = writeBlob(path, size)
      const before = cachedBytes(path, size * MiB)
      await processLayer(
        { path, prefix: createPrefix(size * MiB), digest, size: size * MiB },
        createGunzips('zlib'),
      )
      const after = cachedBytes(path, size * MiB)
      t.diagnostic(`${before / MiB} MiB before, ${after / MiB} MiB after`)
      if (size <= 64) assert.ok(after > before / 2, `${after} bytes are cached`)
      else assert.ok(after <= 80 * MiB, `${after} bytes are cached`)
    })
  }
})

describe('a blob that cannot be read', () => {
  for (const [what, path, errno] of [
    ['a broken disk', '/proc/self/mem', 'EIO'],
    ['a directory', '/', 'EISDIR'],
    ['nothing', '/nonexistent', 'ENOENT'],
  ] as const) {
    it(`is as damaged as one with other bytes (${what})`, async () => {
      const job = { path, prefix: createPrefix(5), digest: digestOf('hello'), size: 5 }
      const message = new RegExp(`blob sha256:[0-9a-f]+ cannot be read: ${errno}`)
      await assert.rejects(processLayer(job, createGunzips('zlib')), {
        code: 'CONTENT_MISMATCH',
        message,
      })
    })
  }
})

/** Writes a blob that is on the disk afterwards, and in the page cache. */
function writeBlob(path: string, size: number): Digest {
  const hash = createHash('sha256')
  const fd = openSync(path, 'w')
  for (let at = 0; at < size; at++) {
    const bytes = Buffer.alloc(MiB, at)
    hash.update(bytes)
    writeSync(fd, bytes)
  }
  fsyncSync(fd)
  closeSync(fd)
  return `sha256:${hash.digest('hex')}` as Digest
}

/** How much of a file the page cache holds, by mincore(2). */
function cachedBytes(path: string, length: number): number {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
  const libc = koffi.load(null)
  const map = libc.func(
    'void *mmap(void *addr, size_t length, int prot, int flags, int fd, int64_t offset)',
  )
  const mincore = libc.func('int mincore(void *addr, size_t length, _Out_ uint8_t *pages)')
  const unmap = libc.func('int munmap(void *addr, size_t length)')
  const fd = openSync(path, 'r')
  const address = map(null, length, 1, 1, fd, 0)
  closeSync(fd)
  const pages = Buffer.alloc(length / PAGE)
  assert.equal(mincore(address, length, pages), 0)
  unmap(address, length)
  return pages.reduce((sum, page) => sum + (page & 1), 0) * PAGE
}
