import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { finishDigest } from '#oci/digest.ts'
import { member } from '../../tar/archive.ts'
import { scratch } from '../extraction.ts'
import { withMounted } from './image.ts'

const MiB = 1024 * 1024
const DIRECTORIES = 200
const PER_DIRECTORY = 1000

/** Writes a tar of many small files. @returns its digest */
function writeManyFiles(path: string): string {
  const hash = createHash('sha256')
  const fd = openSync(path, 'wx')
  for (let at = 0; at < DIRECTORIES; at++) {
    const files = Array.from({ length: PER_DIRECTORY }, (_, index) => {
      const name = `usr/lib/node_modules/package-${at}/file-${index}.js`
      return member({ name, mtime: 1_700_000_000 + index }, '0123456789')
    })
    const part = Buffer.concat(files)
    hash.update(part)
    writeSync(fd, part)
  }
  closeSync(fd)
  return finishDigest('sha256', hash)
}

describe('a layer of 200,000 files', () => {
  it('is indexed in less than 200 MiB of memory, and every file is there', (t) => {
    const dir = scratch(t)
    const source = join(dir, 'source')
    const digest = writeManyFiles(source)
    const program = join(import.meta.dirname, 'index-tar.ts')
    const memory = Number(execFileSync(process.execPath, [program, source, digest, dir]))
    assert.ok(memory < 200 * MiB, `it took ${Math.round(memory / MiB)} MiB`)
    const layer = { tar: join(dir, 'tar'), image: join(dir, 'image'), target: join(dir, 'mounted') }
    withMounted(layer, (mounted) => {
      const root = join(mounted, 'usr/lib/node_modules')
      const counts = readdirSync(root).map((name) => readdirSync(join(root, name)).length)
      assert.deepEqual(
        counts,
        Array.from({ length: DIRECTORIES }, () => PER_DIRECTORY),
      )
      const path = join(root, 'package-199/file-999.js')
      assert.equal(readFileSync(path, 'utf8'), '0123456789')
      assert.equal(statSync(path).mtimeMs, 1_700_000_999_000)
    })
  })
})
