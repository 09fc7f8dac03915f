import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DrayError } from '#oci/error.ts'
import { withRetries } from '#puller/transfer/retry.ts'

const passing = () => new DrayError('REGISTRY_UNREACHABLE', 'gone', { retryable: true })

describe('withRetries', () => {
  it('tries again after an error that may pass', async () => {
    let tries = 0
    const result = await withRetries(
      async (attempt) => {
        tries = attempt
        if (attempt < 3) throw passing()
        return 'done'
      },
      { baseDelayMs: 1 },
    )
    assert.equal(result, 'done')
    assert.equal(tries, 3)
  })

  it('gives up after the tries it has', async () => {
    let tries = 0
    const work = withRetries(
      async () => {
        tries++
        throw passing()
      },
      { tries: 4, baseDelayMs: 1 },
    )
    await assert.rejects(work, { code: 'REGISTRY_UNREACHABLE' })
    assert.equal(tries, 4)
  })

  it('waits twice as long each time, by a random part', async (t) => {
    const parts = [1, 0.5, 1, 1]
    const random = t.mock.method(Math, 'random', () => parts[random.mock.callCount()] ?? 1)
    const moments: number[] = []
    const work = withRetries(
      async () => {
        moments.push(performance.now())
        throw passing()
      },
      { tries: 5, baseDelayMs: 16 },
    )
    await assert.rejects(work, { code: 'REGISTRY_UNREACHABLE' })
    for (const [at, least] of [16, 16, 64, 128].entries()) {
      const waited = (moments[at + 1] ?? 0) - (moments[at] ?? 0)
      assert.ok(waited >= least - 2, `${waited} ms after try ${at + 1}`)
    }
    assert.equal(random.mock.callCount(), 4)
  })

  it('does not try again what will fail again', async () => {
    let tries = 0
    const work = withRetries(async () => {
      tries++
      throw new DrayError('CONTENT_MISMATCH')
    })
    await assert.rejects(work, { code: 'CONTENT_MISMATCH' })
    assert.equal(tries, 1)
  })

  it('waits as long as Retry-After asks', async () => {
    const started = performance.now()
    await withRetries(
      async (attempt) => {
        if (attempt === 1)
          throw new DrayError('REGISTRY_FAILED', 'slow', {
            retryable: true,
            detail: { retryAfterMs: 150 },
          })
      },
      { baseDelayMs: 1 },
    )
    assert.ok(performance.now() - started >= 145)
  })

  it('stops waiting when it is aborted', async () => {
    const stop = new AbortController()
    const work = withRetries(
      async () => {
        setTimeout(() => stop.abort(new Error('enough')), 20)
        throw new DrayError('REGISTRY_FAILED', 'slow', {
          retryable: true,
          detail: { retryAfterMs: 30_000 },
        })
      },
      { signal: stop.signal },
    )
    await assert.rejects(
      work,
      (error: Error) => error.name === 'AbortError' || error.message === 'enough',
    )
  })
})
