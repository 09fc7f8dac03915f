import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Tuner } from '#puller/transfer/tuner.ts'

/** Lets a tuner run for some virtual seconds against a host that gives so many bytes per second. */
function simulate(
  tuner: Tuner,
  seconds: number,
  rateOf: (connections: number) => number,
  from = 0,
) {
  const step = 10
  for (let now = from; now < from + seconds * 1000; now += step) {
    tuner.received((rateOf(tuner.connections) * step) / 1000, now, true)
  }
  return tuner.connections
}

const MB = 1_000_000

describe('Tuner', () => {
  it('takes all it may where every connection brings the same', () => {
    assert.equal(
      simulate(new Tuner(8), 1, (connections) => connections * 80 * MB),
      8,
    )
    assert.equal(
      simulate(new Tuner(16), 2, (connections) => connections * 80 * MB),
      16,
    )
  })

  it('takes all it may where each connection starts slowly', () => {
    const tuner = new Tuner(8)
    const start = (at: number, count: number) =>
      Array.from({ length: count }, () => ({ since: at }))
    let open = start(-1_000, tuner.connections)
    for (let now = 0; now < 1_500; now += 10) {
      const missing = tuner.connections - open.length
      open = missing < 0 ? open.slice(0, missing) : [...open, ...start(now, missing)]
      const ready = open.filter(({ since }) => now - since > 250)
      tuner.received(ready.length * 0.8 * MB, now, true)
    }
    assert.equal(tuner.connections, 8)
  })

  it('takes no more where they share what there is, and fewer after a while', () => {
    const tuner = new Tuner(16)
    assert.equal(
      simulate(tuner, 4, () => 100 * MB),
      4,
    )
    assert.equal(
      simulate(tuner, 20, () => 100 * MB, 4_000),
      1,
    )
  })

  it('is not slower than one connection where many are punished', () => {
    const rateOf = (connections: number) => (100 * MB) / connections
    assert.equal(simulate(new Tuner(8), 20, rateOf), 1)
  })

  it('finds more again when they pay again', () => {
    const tuner = new Tuner(8)
    simulate(tuner, 20, () => 100 * MB)
    assert.equal(
      simulate(tuner, 60, (connections) => connections * 80 * MB, 20_000),
      8,
    )
  })

  it('eases off when it is told to', () => {
    const tuner = new Tuner(8)
    simulate(tuner, 1, (connections) => connections * MB)
    tuner.easeOff(1_000)
    assert.equal(tuner.connections, 4)
    for (let times = 0; times < 5; times++) tuner.easeOff(1_000)
    assert.equal(tuner.connections, 1)
  })

  it('never leaves its bounds, and learns nothing while connections are idle', () => {
    const tuner = new Tuner(1)
    assert.equal(
      simulate(tuner, 30, () => MB),
      1,
    )
    const idle = new Tuner(8)
    for (let now = 0; now < 5_000; now += 10) idle.received(MB, now, false)
    assert.equal(idle.rate, undefined)
    assert.equal(idle.connections, 4)
  })
})
