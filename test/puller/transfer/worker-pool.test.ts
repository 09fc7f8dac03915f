import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { createPrefix } from '#puller/transfer/prefix.ts'
import { createWorkerPool, startThread } from '#puller/transfer/worker-pool.ts'
import { tempDir } from '../../support/temp-dir.ts'

const BYTES = randomBytes(3 * 1024 * 1024)

describe('a pool of threads', () => {
  for (const isAhead of [false, true]) {
    it(`has ended a job that waits when it is closed, on a thread that was started ${isAhead ? 'ahead' : 'for it'}`, async (t) => {
      const path = join(tempDir(t), 'blob')
      writeFileSync(path, BYTES)
      const started = isAhead ? [startThread({ inflater: 'auto', ahead: true })] : []
      t.after(() => Promise.all(started.map((thread) => thread.terminate())))
      const pool = createWorkerPool({ size: 1, inflater: 'auto', started })
      const job = { path, digest: digestOf(BYTES), size: BYTES.length }
      await pool.run({ ...job, prefix: createPrefix(BYTES.length) })
      const ends: string[] = []
      const failing = assert
        .rejects(pool.run({ ...job, prefix: createPrefix(1024 * 1024) }), {
          code: 'CONTENT_MISMATCH',
          message: /did not arrive/,
        })
        .then(() => ends.push('job'))
      await pool.close()
      ends.push('pool')
      await failing
      assert.deepEqual(ends, ['job', 'pool'])
    })
  }

  it('fails what waits for a thread that ended, and what comes after it', async (t) => {
    const path = join(tempDir(t), 'blob')
    writeFileSync(path, BYTES)
    const thread = startThread({ inflater: 'auto', ahead: false })
    const pool = createWorkerPool({ size: 1, inflater: 'auto', started: [thread] })
    const job = () => ({
      path,
      digest: digestOf(BYTES),
      size: BYTES.length,
      prefix: createPrefix(BYTES.length),
    })
    await pool.run(job())
    await thread.terminate()
    const failed = { code: 'STORE_FAILED', message: /the thread that unpacks layers failed: / }
    await Promise.all([1, 2].map(() => assert.rejects(pool.run(job()), failed)))
    await assert.rejects(pool.run(job()), failed)
    await pool.close()
  })
})
