import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { Digest } from '#oci/digest.ts'
import { digestOf } from '#oci/digest.ts'
import { createHttpClient, readBody } from '#puller/registry/http.ts'
import { createMetrics } from '#registry/metrics/metrics.ts'
import { parseConfig, type Registry, startRegistry } from '#registry/index.ts'
import { createRegistryClient, type RegistryClient } from '../contract/registry/fixture.ts'
import { type Ceph, startCeph } from '../support/ceph-rgw.ts'
import { createSender } from '../support/http.ts'
import { type S3Call, type S3FaultProxy, startS3FaultProxy } from '../support/s3-fault-proxy.ts'

describe('a registry that sends clients to its bucket', () => {
  const seen: S3Call[] = []
  const metrics = createMetrics()
  const bytes = randomBytes(100_000)
  let ceph: Ceph
  let outside: S3FaultProxy
  let registry: Registry
  let client: RegistryClient
  let digest: Digest
  let path: string

  before(async () => {
    ceph = await startCeph()
    process.env.AWS_ACCESS_KEY_ID = ceph.credentials.accessKeyId
    process.env.AWS_SECRET_ACCESS_KEY = ceph.credentials.secretAccessKey
    // Clients reach the server by another way than the registry does.
    outside = await startS3FaultProxy(ceph.endpoint, { onEffect: (call) => void seen.push(call) })
    registry = await startRegistry(
      parseConfig({
        env: {},
        flags: {
          listen: '127.0.0.1:0',
          s3: {
            ...{ bucket: await ceph.createBucket(), endpoint: ceph.endpoint, pathStyle: true },
            ...{ redirect: true, publicEndpoint: outside.url, redirectTtlMs: 60_000 },
          },
        },
      }),
      { metrics },
    )
    client = createRegistryClient([registry.url])
    digest = await client.pushBlob('app', bytes)
    path = `/v2/app/blobs/${digest}`
  })
  after(async () => {
    await registry.close()
    await outside.stop()
    await ceph.stop()
  })

  /** What stands behind the URL that a request is sent to. */
  async function follow(headers: Record<string, string> = {}) {
    const answer = await client.expect(307, 'GET', path, { headers })
    const url = new URL(answer.headers.location ?? '')
    const sent = await createSender([url.origin])('GET', `${url.pathname}${url.search}`, {
      headers,
    })
    return { answer, url, sent }
  }

  it('answers with a URL of the public endpoint that holds the bytes', async () => {
    const { answer, url, sent } = await follow()
    assert.equal(url.origin, outside.url)
    assert.equal(answer.headers['docker-content-digest'], digest)
    assert.equal(answer.headers['cache-control'], 'no-store')
    assert.equal(answer.body.length, 0)
    assert.equal(sent.status, 200)
    assert.ok(sent.body.equals(bytes))
  })

  it('answers with small blobs itself', async () => {
    for (const [size, status] of [
      [0, 200],
      [65_535, 200],
      [65_536, 307],
    ] as const) {
      const small = await client.pushBlob('app', randomBytes(size))
      const { headers } = await client.expect(status, 'GET', `/v2/app/blobs/${small}`)
      assert.equal(headers['docker-content-digest'], small)
    }
  })

  it('signs for as long as it is told, and gives no secret away', async () => {
    const { url } = await follow()
    assert.equal(url.searchParams.get('X-Amz-Expires'), '60')
    assert.ok(!decodeURIComponent(url.href).includes(ceph.credentials.secretAccessKey))
  })

  it('sends clients there for one range', async () => {
    for (const [range, part] of [
      ['bytes=10-19', bytes.subarray(10, 20)],
      ['bytes=99990-', bytes.subarray(99_990)],
      ['bytes=-7', bytes.subarray(-7)],
    ] as const) {
      const { sent } = await follow({ range })
      assert.equal(sent.status, 206)
      assert.ok(sent.body.equals(part), range)
    }
  })

  it('answers itself what the bucket would answer otherwise, or not at all', async () => {
    const cases: readonly (readonly [number, Record<string, string>])[] = [
      [206, { range: 'bytes=0-1,5-6' }],
      [206, { range: 'bytes=0-1', 'if-range': `"${digest}"` }],
      [200, { range: 'bytes=0-1', 'if-range': '"other"' }],
      [200, { range: 'pages=1' }],
      [416, { range: 'bytes=100000-' }],
      [304, { 'if-none-match': `"${digest}"` }],
      [200, { 'if-none-match': '"other"' }],
      [200, { origin: 'https://ui.example.org' }],
      [200, { 'sec-fetch-mode': 'cors' }],
      [200, { 'dray-redirect': 'never' }],
    ]
    for (const [status, headers] of cases) {
      const { body } = await client.expect(status, 'GET', path, { headers })
      if (status === 200) assert.ok(body.equals(bytes))
    }
  })

  it('answers HEAD itself', async () => {
    const { headers } = await client.expect(200, 'HEAD', path)
    assert.equal(headers['content-length'], '100000')
    assert.equal(headers['docker-content-digest'], digest)
  })

  it('answers itself for blobs that are no single object', async () => {
    const location = await client.startUpload('app')
    for (const body of ['one ', 'two']) await client.expect(202, 'PATCH', location, { body })
    const split = digestOf('one two')
    await client.expect(201, 'PUT', `${location}?digest=${split}`)
    const { body } = await client.expect(200, 'GET', `/v2/app/blobs/${split}`)
    assert.equal(body.toString(), 'one two')
    const empty = await client.pushBlob('app', '')
    await client.expect(200, 'GET', `/v2/app/blobs/${empty}`)
  })

  it('answers itself for manifests, and sends nobody to what is not in the repository', async () => {
    await client.pushImage('app', 'v1', 'redirected')
    await client.expect(200, 'GET', '/v2/app/manifests/v1')
    await client.expect(404, 'GET', `/v2/other/blobs/${digest}`)
    await client.expect(404, 'GET', `/v2/app/blobs/${digestOf('nothing')}`)
  })

  it('counts its calls to the bucket', async () => {
    const calls = async (operation: string, status: string) => {
      const all = (await metrics.counts()).find(({ name }) => name === 'dray_s3_calls_total')
      const found = all?.values.find(
        ({ labels }) => labels.operation === operation && labels.status === status,
      )
      return found?.value ?? 0
    }
    assert.ok((await calls('PutObject', '200')) > 0)
    const before = await calls('GetObject', '404')
    await client.expect(404, 'GET', `/v2/app/blobs/${digestOf('never pushed')}`)
    assert.ok((await calls('GetObject', '404')) > before)
  })

  it('is followed by our own client, which keeps its credentials to itself', async () => {
    seen.length = 0
    const response = await createHttpClient()(new URL(`${registry.url}${path}`), {
      headers: { authorization: 'Basic c2VjcmV0OnNlY3JldA==', range: 'bytes=5-9' },
    })
    assert.equal(response.status, 206)
    assert.ok((await readBody(response, 100)).equals(bytes.subarray(5, 10)))
    assert.equal(seen.length, 1)
    assert.equal(seen[0]?.headers.authorization, undefined)
  })
})
