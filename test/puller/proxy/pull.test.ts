import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it, type TestContext } from 'node:test'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import { openStore, type PullOptions, pullImage } from '#puller/index.ts'
import { proxyFinder } from '#puller/proxy/find-proxy.ts'
import { openTunnel } from '#puller/proxy/tunnel.ts'
import { createDirectReader } from '#puller/registry/direct.ts'
import { createCertificate } from '../../support/certificates.ts'
import { startFaultRegistry } from '../../support/fault-registry.ts'
import { startProxy } from '../../support/proxy.ts'
import { smallImage, tarOf } from '../../support/small-image.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { startTlsFront } from '../../support/tls-front.ts'

const IMAGE = smallImage([tarOf({ noise: randomBytes(3 * 1024 * 1024) })])
const CA = createCertificate('test CA')
const SERVER = createCertificate('server', { ca: CA, dns: ['r.example'] })

const honest = (t: TestContext) => startFaultRegistry(t, IMAGE, () => undefined)

async function pull(t: TestContext, proxy: string, options: PullOptions = {}) {
  const store = await openStore(tempDir(t))
  const result = await pullImage(store, parseReference('r.example/team/app:1'), {
    platform: parsePlatform('linux/amd64'),
    unpack: false,
    proxy: proxyFinder({ HTTP_PROXY: proxy, HTTPS_PROXY: proxy }),
    certificates: async () => ({ ca: [CA.cert] }),
    ...options,
  })
  assert.equal(result.manifestDigest, IMAGE.manifest.digest)
}

const withCredentials = (url: string) => url.replace('//', '//user:p%20w@')

describe('a pull through a proxy', () => {
  it('has it ask on our behalf where there is no TLS', async (t) => {
    const registry = await honest(t)
    const proxy = await startProxy(t, { backend: registry.host, credentials: 'user:p w' })
    await pull(t, withCredentials(proxy.url), { plainHttp: true })
    assert.ok(proxy.asked.every((line) => /^(?:GET|HEAD) http:\/\/r\.example\/v2\//.test(line)))
    assert.equal(proxy.asked.length, registry.requests.length)
    assert.ok(registry.requests.every(({ headers }) => headers.host === 'r.example'))
  })

  it('goes through it unread where there is TLS', async (t) => {
    const registry = await honest(t)
    const backend = await startTlsFront(t, registry.host, SERVER)
    const proxy = await startProxy(t, { backend, credentials: 'user:p w' })
    await pull(t, withCredentials(proxy.url))
    assert.deepEqual(new Set(proxy.asked), new Set(['CONNECT r.example:443']))
  })

  it('trusts no other certificate for that', async (t) => {
    const backend = await startTlsFront(t, (await honest(t)).host, SERVER)
    const proxy = await startProxy(t, { backend })
    await assert.rejects(pull(t, proxy.url, { certificates: async () => undefined }), {
      code: 'REGISTRY_UNREACHABLE',
      message: /certificate/,
    })
  })

  it('says which settings to look at where the proxy is not there', async () => {
    const proxy = { url: new URL('http://127.0.0.1:1'), headers: {} }
    await assert.rejects(openTunnel(proxy, 'r.example', 443), {
      message: /^the proxy 127\.0\.0\.1:1 did not .*ECONNREFUSED.*\(HTTPS_PROXY\)\? .*NO_PROXY/,
    })
  })

  for (const plainHttp of [true, false]) {
    it(`says that the proxy wants credentials, ${plainHttp ? 'without' : 'with'} TLS`, async (t) => {
      const proxy = await startProxy(t, { backend: '127.0.0.1:1', credentials: 'user:p' })
      await assert.rejects(pull(t, proxy.url, { plainHttp }), { message: /proxy.*credentials/ })
    })
  }
})

describe('a direct reader', () => {
  for (const scheme of ['http', 'https']) {
    it(`reads ranges through a proxy by ${scheme}`, async (t) => {
      const registry = await honest(t)
      const backend =
        scheme === 'http' ? registry.host : await startTlsFront(t, registry.host, SERVER)
      const proxy = await startProxy(t, { backend, credentials: 'user:p w' })
      const url = withCredentials(proxy.url)
      const direct = createDirectReader(5000, proxyFinder({ HTTP_PROXY: url, HTTPS_PROXY: url }))
      t.after(() => direct.close())
      const [layer] = IMAGE.layers
      const source = {
        url: `${scheme}://r.example/v2/team/app/blobs/${layer?.digest}`,
        headers: {},
        certificates: { ca: [CA.cert] },
      }
      const end = 1_000_000
      for (const start of [0, 500_000]) {
        const got: Buffer[] = []
        // Waits now and then, as one who writes does.
        const onBytes = (bytes: Buffer) => {
          got.push(Buffer.from(bytes))
          return got.length % 3 === 0 ? new Promise<void>(setImmediate) : undefined
        }
        assert.ok(await direct.read(source, { start, end }, onBytes, new AbortController().signal))
        assert.deepEqual(
          Buffer.concat(got),
          IMAGE.blobs.get(layer?.digest ?? '')?.subarray(start, end),
        )
      }
      const lines =
        scheme === 'http' ? [`GET ${source.url}`, `GET ${source.url}`] : ['CONNECT r.example:443']
      assert.deepEqual(proxy.asked, lines)
    })
  }

  it('leaves it to others to say why a proxy does not connect', async (t) => {
    const proxy = await startProxy(t, { backend: '127.0.0.1:1' })
    const direct = createDirectReader(5000, proxyFinder({ HTTPS_PROXY: proxy.url }))
    const source = { url: 'https://r.example/blob', headers: {} }
    const { signal } = new AbortController()
    assert.equal(await direct.read(source, { start: 0, end: 1 }, () => undefined, signal), false)
  })
})
