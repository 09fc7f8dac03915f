import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'

/** The policy by which threads get a core, SCHED_IDLE, and their IO class, as ionice(1) calls it. */
const IDLE = '5,idle'

describe('lowerPriority', () => {
  it('makes every thread of the process idle, those included that it starts later', () => {
    const program = `
      import { execFileSync } from 'node:child_process'
      import { readdirSync, readFileSync } from 'node:fs'
      import { Worker } from 'node:worker_threads'
      import { lowerPriority } from ${JSON.stringify(join(import.meta.dirname, '../../puller/low-priority.ts'))}
      lowerPriority()
      const worker = new Worker('setTimeout(() => {}, 60000)', { eval: true })
      worker.once('online', () => {
        const policies = readdirSync('/proc/self/task').map((tid) =>
          readFileSync('/proc/self/task/' + tid + '/stat', 'latin1').replace(/.*\\) /s, '').split(' ')[38])
        const classes = readdirSync('/proc/self/task').map((tid) =>
          execFileSync('ionice', ['-p', tid], { encoding: 'utf8' }).trim())
        console.log([...new Set(policies), ...new Set(classes)].join())
        process.exit()
      })`
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', program])
    assert.equal(output.toString().trim(), IDLE)
  })
})
