import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { parseConfig, type Registry, type Storage, startRegistry } from '#registry/index.ts'
import { createMemoryBlobDriver } from '#registry/storage/memory/blob-driver.ts'
import { createMemoryRecordDriver } from '#registry/storage/memory/record-driver.ts'
import { createSender } from '../support/http.ts'

interface Fixture {
  readonly registry: Registry
  /** How often the storage was asked. */
  asked(): number
  get(path: string): Promise<{ status: number; body: string }>
}

async function start(
  t: TestContext,
  get: Storage['records']['get'] = async () => undefined,
  flags: object = {},
): Promise<Fixture> {
  let asked = 0
  const storage: Storage = {
    content: createMemoryBlobDriver(),
    records: {
      ...createMemoryRecordDriver(),
      get(key) {
        asked++
        return get(key)
      },
    },
  }
  const config = parseConfig({
    env: { DRAY_AUTH: '{}' },
    flags: { listen: '127.0.0.1:0', ...flags },
  })
  const registry = await startRegistry(config, { storage })
  const send = createSender([registry.url])
  t.after(() => registry.close())
  return {
    registry,
    asked: () => asked,
    async get(path) {
      const { status, body } = await send('GET', path)
      return { status, body: body.toString() }
    },
  }
}

const ALIVE = { status: 200, body: 'alive\n' }

describe('the health of a registry', () => {
  it('is told to whoever asks, without credentials', async (t) => {
    const { get } = await start(t)
    assert.deepEqual(await get('/healthz'), ALIVE)
    assert.deepEqual(await get('/readyz'), { status: 200, body: 'ready\n' })
    assert.equal((await get('/v2/')).status, 401)
  })

  it('is not good enough for requests when the storage fails, and says nothing of why', async (t) => {
    const { get } = await start(t, () => Promise.reject(new Error('secret')))
    assert.deepEqual(await get('/healthz'), ALIVE)
    assert.deepEqual(await get('/readyz'), { status: 503, body: 'storage fails\n' })
  })

  it('costs the storage one question, however many ask', async (t) => {
    const { get, asked } = await start(t)
    await Promise.all(Array.from({ length: 50 }, () => get('/readyz')))
    await get('/readyz')
    assert.equal(asked(), 1)
  })

  it('is said to be going before a registry stops, which still answers', async (t) => {
    const { get, registry } = await start(t, undefined, { shutdownDelayMs: 500 })
    const closed = registry.close()
    assert.deepEqual(await get('/readyz'), { status: 503, body: 'stopping\n' })
    assert.deepEqual(await get('/healthz'), ALIVE)
    assert.equal((await get('/v2/')).status, 401)
    await closed
    await assert.rejects(get('/readyz'))
  })
})
