import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { exitCodeOfSignal, isLostOn, SignalCatcher } from '#runner/signals.ts'

function status(caught: bigint, ignored: bigint): string {
  const hex = (mask: bigint) => mask.toString(16).padStart(16, '0')
  return `Name:\tx\nSigBlk:\t${hex(0n)}\nSigIgn:\t${hex(ignored)}\nSigCgt:\t${hex(caught)}\n`
}

const INT = 1n << 1n
const TERM = 1n << 14n

describe('a signal to the first process', () => {
  it('is lost when it is neither handled nor ignored', () => {
    assert.equal(isLostOn('SIGTERM', status(INT, 0n)), true)
    assert.equal(isLostOn('SIGINT', status(INT, 0n)), false)
    assert.equal(isLostOn('SIGTERM', status(0n, TERM)), false)
  })

  it('is not lost when it doesn’t mean the end, or nothing is known', () => {
    assert.equal(isLostOn('SIGUSR1', status(0n, 0n)), false)
    assert.equal(isLostOn('SIGTERM', ''), false)
  })

  it('stands for an exit code', () => {
    assert.equal(exitCodeOfSignal('SIGINT'), 130)
    assert.equal(exitCodeOfSignal('SIGKILL'), 137)
  })
})

describe('the catcher of signals', () => {
  it('keeps what comes before somebody listens', async () => {
    const before = process.listenerCount('SIGALRM')
    const catcher = new SignalCatcher()
    try {
      const delivered = once(process, 'SIGALRM')
      process.kill(process.pid, 'SIGALRM')
      await delivered
      assert.equal(catcher.ending, undefined)
      const got: string[] = []
      catcher.deliverTo((signal) => got.push(signal))
      process.emit('SIGTERM', 'SIGTERM')
      assert.deepEqual(got, ['SIGALRM', 'SIGTERM'])
    } finally {
      catcher.release()
    }
    assert.equal(process.listenerCount('SIGALRM'), before)
  })

  it('knows that the end was asked for', () => {
    const catcher = new SignalCatcher()
    try {
      process.emit('SIGHUP', 'SIGHUP')
      assert.equal(catcher.ending, 'SIGHUP')
    } finally {
      catcher.release()
    }
  })
})
