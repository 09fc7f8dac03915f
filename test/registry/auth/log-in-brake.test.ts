import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createLogInBrake } from '#registry/auth/log-in-brake.ts'

describe('the brake on log-ins', () => {
  const times = (n: number, act: () => void) => {
    for (let i = 0; i < n; i++) act()
  }

  it('lets somebody mistype five times, then doubles the wait up to five minutes', () => {
    const brake = createLogInBrake(() => 0)
    const waits = Array.from({ length: 20 }, () => {
      brake.failed('alice', '1.1.1.1')
      return brake.waitMs('alice', '1.1.1.1') / 1000
    })
    assert.deepEqual(waits.slice(0, 8), [0, 0, 0, 0, 0, 1, 2, 4])
    assert.equal(waits.at(-1), 300)
  })

  it('lets the same user in from elsewhere, and others from the same address', () => {
    const brake = createLogInBrake(() => 0)
    times(10, () => brake.failed('alice', '1.1.1.1'))
    assert.equal(brake.waitMs('alice', '2.2.2.2'), 0)
    assert.equal(brake.waitMs('bob', '1.1.1.1'), 0)
  })

  it('slows an address down that tries many users, though it may know one password', () => {
    const brake = createLogInBrake(() => 0)
    let i = 0
    times(51, () => {
      brake.failed(`user${i++}`, '1.1.1.1')
      brake.succeeded('mallory', '1.1.1.1')
    })
    assert.equal(brake.waitMs('another', '1.1.1.1'), 1000)
  })

  it('slows down guesses at one user from many addresses', () => {
    const brake = createLogInBrake(() => 0)
    let i = 0
    times(101, () => brake.failed('alice', `1.1.1.${i++}`))
    assert.equal(brake.waitMs('alice', '9.9.9.9'), 1000)
  })

  it('forgets when the right password comes', () => {
    let now = 0
    const brake = createLogInBrake(() => now)
    times(6, () => brake.failed('alice', '1.1.1.1'))
    now = 1000
    assert.equal(brake.waitMs('alice', '1.1.1.1'), 0)
    brake.succeeded('alice', '1.1.1.1')
    times(5, () => brake.failed('alice', '1.1.1.1'))
    assert.equal(brake.waitMs('alice', '1.1.1.1'), 0)
  })
})
