import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { afterTest } from './after.ts'
import { tempDir } from './temp-dir.ts'

/** A file system of its own size. */
export function smallDisk(t: TestContext, size: string): { dir: string; grow(size: string): void } {
  const dir = join(tempDir(t), 'disk')
  mkdirSync(dir)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', dir])
  afterTest(t, () => void execFileSync('umount', [dir]))
  return { dir, grow: (to) => execFileSync('mount', ['-o', `remount,size=${to}`, dir]) }
}
