import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { storeLayout } from '#puller/store/layout.ts'
import { lockFile } from '#puller/store/lock.ts'
import { removeStaleIngests } from '#puller/store/stale-ingests.ts'
import { tempDir } from '../../support/temp-dir.ts'

const DAY_MS = 24 * 60 * 60 * 1000

describe('removeStaleIngests', () => {
  it('removes what was left a week ago, but not what a process has open', async (t) => {
    const layout = storeLayout(tempDir(t))
    await removeStaleIngests(layout)
    const make = (name: string, days: number) => {
      const dir = join(layout.ingests, name)
      mkdirSync(dir, { recursive: true })
      writeFileSync(join(dir, 'ranges'), '')
      const then = new Date(Date.now() - days * DAY_MS)
      utimesSync(join(dir, 'ranges'), then, then)
      utimesSync(dir, then, then)
      return dir
    }
    make('old', 8)
    make('young', 6)
    const lock = await lockFile(join(make('open', 8), 'lock'))
    t.after(() => lock.release())
    await removeStaleIngests(layout)
    assert.deepEqual(readdirSync(layout.ingests).sort(), ['open', 'young'])
  })

  it('passes over what is listed, and gone when it is looked at', async (t) => {
    const layout = storeLayout(tempDir(t))
    mkdirSync(layout.ingests, { recursive: true })
    symlinkSync('gone', join(layout.ingests, 'listed'))
    await removeStaleIngests(layout)
  })
})
