import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { createRateLimits } from '#registry/http/rate-limits.ts'
import { formatCounts } from '#registry/metrics/metrics.ts'
import { networkOf } from '#registry/net/addresses.ts'
import { startClosedRegistry } from '../../support/closed-registry.ts'

const ALL = ['pull', 'push', 'overwrite', 'delete', 'list']
const RULES = [
  { name: 'users', subjects: ['users'], repositories: ['**'], actions: ALL },
  { name: 'public', subjects: ['anyone'], repositories: ['**'], actions: ['pull'] },
]
const open = (limits: object) => startClosedRegistry({ rules: RULES, config: { limits } })

describe('the rate of requests', () => {
  it('is that of the limit, after a burst', () => {
    let time = 0
    const limits = createRateLimits({ requestsPerSecond: 10, burst: 5, now: () => time })
    const made = () => {
      let n = 0
      try {
        for (; n < 1000; n++) limits('alice')()
      } catch {}
      return n
    }
    assert.equal(made(), 5)
    time += 350
    assert.equal(made(), 3)
    time += 60_000
    assert.equal(made(), 5)
    limits('bob')()
  })

  it('does not grow with what a client leaves running', () => {
    const limits = createRateLimits({ burst: 1, concurrentRequests: 2 })
    const [finish] = [limits('alice'), limits('alice')]
    assert.throws(() => limits('alice'), { code: 'TOOMANYREQUESTS', retryable: true })
    limits('bob')
    finish?.()
    limits('alice')
  })

  it('is counted for a network of IPv6, since nobody has just one address of it', () => {
    assert.equal(networkOf('10.0.0.1'), '10.0.0.1')
    assert.equal(networkOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64')
    assert.equal(networkOf('2001:db8::1'), '2001:db8:0:0::/64')
    assert.equal(networkOf('::1'), '0:0:0:0::/64')
  })
})

describe('a registry with limits', () => {
  it('answers 429 with the time to wait, to each user and to each address of others', async () => {
    const closed = await open({ requestsPerSecond: 0.01, burst: 3 })
    for (const client of [closed.as('alice'), closed.as('bob'), closed.as()]) {
      for (let i = 0; i < 3; i++) await client.expect(404, 'GET', '/v2/x/manifests/1')
      const { headers } = await client.expect(429, 'GET', '/v2/x/manifests/1', {
        code: 'TOOMANYREQUESTS',
      })
      assert.equal(headers['retry-after'], '100')
    }
    const refused = closed.lines.filter(({ audit }) => audit === 'refused')
    assert.deepEqual(
      refused.map(({ who, code }) => `${who} ${code}`),
      ['alice TOOMANYREQUESTS', 'bob TOOMANYREQUESTS', 'anonymous TOOMANYREQUESTS'],
    )
    await closed.stop()
  })

  it('lets so many requests of a user run at once, and others meanwhile', async () => {
    const closed = await open({ concurrentRequests: 1 })
    const [alice, bob] = [closed.as('alice'), closed.as('bob')]
    const location = await alice.startUpload('x')
    const [sent, seen] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    /** More than connections hold: when it has been sent the registry is at work on it. */
    async function* body() {
      for (let i = 0; i < 16; i++) yield Buffer.alloc(1 << 20)
      sent.resolve()
      await seen.promise
    }
    const running = alice.expect(202, 'PATCH', location, { body: body() })
    await sent.promise
    const path = '/v2/x/manifests/1'
    const { headers } = await alice.expect(429, 'GET', path, { code: 'TOOMANYREQUESTS' })
    assert.equal(headers['retry-after'], '1')
    await bob.expect(404, 'GET', path)
    seen.resolve()
    await running
    while ((await alice.send('GET', path)).status !== 404);
    await closed.stop()
  })

  it('counts requests that it refuses', async () => {
    const closed = await open({ requestsPerSecond: 0.01, burst: 3 })
    const client = closed.bearing('a.b.c')
    for (let i = 0; i < 3; i++) await client.expect(401, 'GET', '/v2/x/manifests/1')
    await client.expect(429, 'GET', '/v2/x/manifests/1')
    await closed.as().expect(429, 'GET', '/token')
    await closed.as('alice').expect(404, 'GET', '/v2/x/manifests/1')
    await closed.stop()
  })

  it('counts refusals by their reason', async () => {
    const closed = await open({ requestsPerSecond: 0.01, burst: 4 })
    await closed.as().expect(401, 'GET', '/v2/')
    await closed.as().expect(401, 'PUT', '/v2/x/manifests/1')
    await closed.as('alice', 'wrong').expect(401, 'GET', '/v2/x/manifests/1')
    await closed.bearing('a.b.c').expect(401, 'GET', '/v2/x/manifests/1')
    await closed.as().expect(429, 'GET', '/v2/x/manifests/1')
    const text = await formatCounts([await closed.metrics.counts()])
    const counts = [...text.matchAll(/^dray_refused_total\{reason="(\w+)"\} (\d+)$/gm)]
    assert.deepEqual(
      counts.map(([, reason, count]) => `${reason} ${count}`),
      ['anonymous 1', 'credentials 2', 'limit 1'],
    )
    await closed.stop()
  })

  it('opens so many uploads in a repository', async () => {
    const closed = await open({ openUploads: 2 })
    const alice = closed.as('alice')
    const [first = ''] = [await alice.startUpload('x'), await alice.startUpload('x')]
    const { headers } = await closed
      .as('bob')
      .expect(429, 'POST', '/v2/x/blobs/uploads/', { code: 'TOOMANYREQUESTS' })
    assert.ok(headers['retry-after'])
    await alice.startUpload('y')
    await alice.pushBlob('x', 'in one request')
    await alice.expect(201, 'PUT', `${first}?digest=${digestOf('x')}`, { body: 'x' })
    const third = await alice.startUpload('x')
    await alice.expect(204, 'DELETE', third)
    await alice.startUpload('x')
    await closed.stop()
  })

  it('keeps a repository to its bytes, however blobs come to it', async () => {
    const closed = await open({ repositoryBytes: 100 })
    const alice = closed.as('alice')
    const fifty = await alice.pushBlob('x', 'a'.repeat(50))
    await alice.pushBlob('x', 'a'.repeat(50))
    const sixty = await alice.pushBlob('y', 'b'.repeat(60))
    const code = 'DENIED'
    const body = 'c'.repeat(51)
    const digest = digestOf(body)
    await alice.expect(403, 'POST', `/v2/x/blobs/uploads/?digest=${digest}`, { body, code })
    const location = await alice.startUpload('x')
    await alice.expect(403, 'PUT', `${location}?digest=${digest}`, { body, code })
    await alice.expect(403, 'POST', `/v2/x/blobs/uploads/?mount=${sixty}&from=y`, { code })
    await alice.expect(404, 'HEAD', `/v2/x/blobs/${digest}`)
    await alice.expect(202, 'DELETE', `/v2/x/blobs/${fifty}`)
    await alice.expect(201, 'POST', `/v2/x/blobs/uploads/?mount=${sixty}&from=y`)
    await closed.stop()
  })

  it('takes no manifest and no headers that are longer', async () => {
    const closed = await open({ manifestBytes: 1024, headerBytes: 4096 })
    const alice = closed.as('alice')
    await alice.pushImage('x', '1', 'a')
    const body = Buffer.alloc(1025, ' ')
    await alice.expect(413, 'PUT', '/v2/x/manifests/1', { body })
    const headers = { 'x-filler': 'x'.repeat(5000) }
    await alice.expect(431, 'GET', '/v2/x/manifests/1', { headers })
    await closed.stop()
  })
})
