import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { placeTar } from '#puller/tar/place.ts'
import { walkTree } from '#puller/tar/walk.ts'
import { writeTar } from '#puller/tar/writer.ts'
import { tempDir } from '../../support/temp-dir.ts'

const OWNER = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }

describe('placing a tar', () => {
  it('replaces files, fills directories, and leaves the rest alone', async (t) => {
    const [from, to] = [join(tempDir(t), 'from'), tempDir(t)]
    mkdirSync(join(from, 'dir'), { recursive: true })
    writeFileSync(join(from, 'dir/file'), 'new')
    mkdirSync(join(to, 'dir'))
    writeFileSync(join(to, 'dir/file'), 'old')
    writeFileSync(join(to, 'dir/other'), 'other')
    await placeTar(writeTar(from), to, { owner: () => OWNER })
    assert.deepEqual(readdirSync(join(to, 'dir')), ['file', 'other'])
    assert.equal(readFileSync(join(to, 'dir/file'), 'utf8'), 'new')
  })

  it('goes through no link that is there, and replaces one that a file is to take the place of', async (t) => {
    const [from, to, outside] = [join(tempDir(t), 'from'), tempDir(t), tempDir(t)]
    mkdirSync(join(from, 'dir'), { recursive: true })
    writeFileSync(join(from, 'dir/file'), 'new')
    symlinkSync(outside, join(to, 'dir'))
    await assert.rejects(placeTar(writeTar(from), to, { owner: () => OWNER }), { code: 'USAGE' })
    assert.deepEqual(readdirSync(outside), [])
    writeFileSync(join(outside, 'kept'), 'kept')
    symlinkSync(join(outside, 'kept'), join(to, 'file'))
    const one = writeTar(join(from, 'dir/file'), { as: Buffer.from('file') })
    await placeTar(one, to, { owner: () => OWNER })
    assert.equal(readFileSync(join(outside, 'kept'), 'utf8'), 'kept')
    assert.equal(readFileSync(join(to, 'file'), 'utf8'), 'new')
  })

  it('keeps names like ../x below the directory', async (t) => {
    const [from, to] = [tempDir(t), join(tempDir(t), 'deep')]
    mkdirSync(to)
    writeFileSync(join(from, 'file'), 'x')
    const tar = writeTar(join(from, 'file'), { as: Buffer.from('../../file') })
    await placeTar(tar, to, { owner: () => OWNER })
    assert.equal(existsSync(join(to, 'file')), true)
  })
})

describe('walking a tree that somebody changes', () => {
  it('never enters a link that took the place of a directory', (t) => {
    const [root, outside] = [tempDir(t), tempDir(t)]
    writeFileSync(join(outside, 'secret'), 'secret')
    mkdirSync(join(root, 'dir'))
    const walk = walkTree(root, { isLive: true })
    assert.equal(walk.next().value?.head.path.toString(), './')
    assert.equal(walk.next().value?.head.path.toString(), 'dir/')
    renameSync(join(root, 'dir'), join(root, 'moved'))
    symlinkSync(outside, join(root, 'dir'))
    assert.throws(() => walk.next(), { code: 'ENOTDIR' })
  })

  it('goes on in a directory that was entered, wherever it is moved', (t) => {
    const [root, outside] = [tempDir(t), tempDir(t)]
    writeFileSync(join(outside, 'b'), 'secret')
    mkdirSync(join(root, 'dir'))
    for (const name of ['a', 'b']) writeFileSync(join(root, 'dir', name), 'mine')
    const walk = walkTree(root, { isLive: true })
    for (const path of ['./', 'dir/', 'dir/a']) {
      assert.equal(walk.next().value?.head.path.toString(), path)
    }
    renameSync(join(root, 'dir'), join(root, 'moved'))
    symlinkSync(outside, join(root, 'dir'))
    const next = walk.next().value
    assert.equal(readFileSync(next?.source ?? '', 'utf8'), 'mine')
  })
})
