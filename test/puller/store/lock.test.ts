import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { lockFile, tryLockFile } from '#puller/store/lock.ts'
import { tempDir } from '../../support/temp-dir.ts'

describe('a file lock', () => {
  it('has one owner at a time', async (t) => {
    const path = join(tempDir(t), 'lock')
    const first = await lockFile(path)
    assert.equal(tryLockFile(path), undefined)
    first.release()
    const second = tryLockFile(path)
    assert.notEqual(second, undefined)
    second?.release()
  })

  it('goes to whoever waits for it', async (t) => {
    const path = join(tempDir(t), 'lock')
    const first = await lockFile(path)
    const waiting = lockFile(path)
    setTimeout(() => first.release(), 30)
    ;(await waiting).release()
  })

  it('stops waiting when it is aborted', async (t) => {
    const path = join(tempDir(t), 'lock')
    const first = await lockFile(path)
    t.after(() => first.release())
    await assert.rejects(lockFile(path, { signal: AbortSignal.timeout(30) }))
  })

  it('is not held by one whose file was removed with its directory meanwhile', async (t) => {
    const path = join(tempDir(t), 'dir', 'lock')
    const first = await lockFile(path)
    const waiting = lockFile(path)
    rmSync(dirname(path), { recursive: true })
    first.release()
    const second = await waiting
    assert.equal(tryLockFile(path), undefined)
    second.release()
  })

  it('ends with the process that has it, however that ends', async (t) => {
    const path = join(tempDir(t), 'lock')
    const program = `
      const { lockFile } = await import(${JSON.stringify(import.meta.resolve('#puller/store/lock.ts'))})
      await lockFile(${JSON.stringify(path)})
      console.log('locked')
      setInterval(() => {}, 1000)
    `
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    assert.equal(tryLockFile(path), undefined)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const lock = tryLockFile(path)
    assert.notEqual(lock, undefined)
    lock?.release()
  })
})
