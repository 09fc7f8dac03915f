import assert from 'node:assert/strict'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { makeDirs } from '#oci/make-dirs.ts'
import { tempDir } from '../support/temp-dir.ts'

describe('makeDirs', () => {
  it('makes a directory with those above it, and leaves what is there', (t) => {
    const dir = join(tempDir(t), 'a/b/c')
    makeDirs(dir, 0o700)
    makeDirs(dir)
    for (const made of [dir, join(dir, '..')]) assert.equal(statSync(made).mode & 0o777, 0o700)
  })

  it('comes back where there can be none', (t) => {
    const file = join(tempDir(t), 'file')
    writeFileSync(file, '')
    assert.throws(() => makeDirs('/proc/x/y'), { code: 'ENOENT' })
    assert.throws(() => makeDirs(file), { code: 'STORE_FAILED', message: /file is no directory/ })
    assert.throws(() => makeDirs(join(file, 'x')), { message: /file is no directory/ })
  })
})
