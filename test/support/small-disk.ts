import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { until } from '../runner/support/run.ts'
import { afterTest } from './after.ts'
import { tempDir } from './temp-dir.ts'

/** A file system of its own size. */
export function smallDisk(t: TestContext, size: string): { dir: string; grow(size: string): void } {
  const dir = join(tempDir(t), 'disk')
  mkdirSync(dir)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', dir])
  // A process that was killed lets go of its files a moment later.
  afterTest(t, () => until('nobody uses it', () => spawnSync('umount', [dir]).status === 0))
  return { dir, grow: (to) => execFileSync('mount', ['-o', `remount,size=${to}`, dir]) }
}

/** Takes every block and every file that is left. @returns what gives them back */
export function fillDisk(dir: string): () => void {
  const filler = join(dir, 'filler')
  mkdirSync(filler)
  for (const size of [1024 * 1024, 4096, 1, 0]) {
    try {
      for (;;) writeFileSync(join(filler, randomUUID()), Buffer.alloc(size))
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
    }
  }
  return () => rmSync(filler, { recursive: true })
}
