import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { afterTest } from './after.ts'

/** A directory of its own for one test, removed with what is in it when the test ends. */
export function tempDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'dray-test-'))
  afterTest(t, () => rmSync(dir, { recursive: true, force: true }))
  return dir
}
