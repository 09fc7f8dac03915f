import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { closeSync, constants, existsSync, openSync, read, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { openSession } from '#runner/monitor/session.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../support/run.ts'

/** Of libuv's pool. */
const THREADS = 4

describe('a session with a monitor', () => {
  it('never writes into another file when it ends while input is on its way', async (t) => {
    const dir = tempDir(t)
    const listen = `UNIX-LISTEN:${join(dir, 'attach')},type=5`
    const monitor = spawn('socat', [listen, 'EXEC:cat'], { stdio: 'ignore' })
    t.after(() => monitor.kill('SIGKILL'))
    await until('it listens', () => existsSync(join(dir, 'attach')))
    const session = openSession(dir)
    const end = session.output().next()

    // The other threads wait for bytes, and so does the one that hears of the end before it comes to the input.
    const fifos = Array.from({ length: THREADS + 1 }, (_, at) => openFifo(join(dir, `fifo-${at}`)))
    const passed = fifos.at(-2) ?? -1
    writeSync(passed, 'x')
    const reading = fifos.map((fifo) => promisify(read)(fifo, Buffer.alloc(1), 0, 1, null))
    const sent = session.send(Buffer.from('typed')).catch(() => undefined)

    monitor.kill('SIGKILL')
    await reading.at(-2)
    for (let turns = 0; turns < 10; turns++) await turn()
    const file = join(dir, 'file')
    const files = Array.from({ length: 20 }, () => openSync(file, 'a'))

    for (const fifo of fifos) if (fifo !== passed) writeSync(fifo, 'x')
    await Promise.all([...reading, sent])
    assert.deepEqual(await end, { done: true, value: undefined })
    assert.equal(readFileSync(file, 'utf8'), '')
    for (const fd of [...files, ...fifos]) closeSync(fd)
  })
})

function openFifo(path: string): number {
  execFileSync('mkfifo', [path])
  return openSync(path, constants.O_RDWR)
}
