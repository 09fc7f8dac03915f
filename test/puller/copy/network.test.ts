import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it, type TestContext } from 'node:test'
import { parseRepositoryName } from '#oci/reference.ts'
import { type CopyPlaces, copyImage, parseLocation, proxyFinder } from '#puller/index.ts'
import type { Capability, RegistryHost } from '#puller/mirrors/registry-host.ts'
import { openRepository } from '#puller/registry/client.ts'
import { type Fault, startFaultRegistry } from '../../support/fault-registry.ts'
import { startOpenRegistry } from '../../support/open-registry.ts'
import { startProxy } from '../../support/proxy.ts'
import { smallImage, tarOf } from '../../support/small-image.ts'

const IMAGE = smallImage([tarOf({ noise: randomBytes(1024 * 1024) })])

function copy(from: string, to: string, access: Pick<CopyPlaces, 'fromAccess' | 'toAccess'>) {
  const openStore = async () => assert.fail('the local store was opened')
  return copyImage({ from: parseLocation(from), to: parseLocation(to), openStore, ...access })
}

async function assertHas(host: string): Promise<void> {
  const repository = parseRepositoryName('copy')
  const client = await openRepository({ registry: host, repository, access: 'pull' })
  assert.equal((await client.getManifest('1')).digest, IMAGE.manifest.digest)
  for (const { digest } of [...IMAGE.layers, IMAGE.config]) assert.ok(await client.hasBlob(digest))
}

function hostOf(
  host: string,
  name: string,
  capabilities: readonly Capability[] = ['pull', 'resolve'],
): RegistryHost {
  const repository = parseRepositoryName(name)
  const api = new URL(`http://${host}/v2/`)
  return { registry: host, repository, capabilities, api, namespace: 'r.example' }
}

describe('copyImage by mirrors', () => {
  const gone: Fault = ({ response }) => response.writeHead(404).end()
  for (const [what, fault, asksOrigin] of [
    ['reads from the mirror alone', undefined, false],
    ['reads from the registry what the mirror lacks', gone, true],
  ] as const) {
    it(`${what}, and writes past it`, async (t) => {
      const mirror = await startFaultRegistry(t, IMAGE, () => fault)
      const origin = await startFaultRegistry(t, IMAGE, () => undefined)
      const to = await startOpenRegistry(t)
      const hosts = async () => [hostOf(mirror.host, 'team/app'), hostOf(origin.host, 'team/app')]
      await copy('r.example/team/app:1', `${to.host}/copy:1`, { fromAccess: { hosts } })
      await assertHas(to.host)
      assert.equal(origin.requests.length > 0, asksOrigin)
      assert.ok(mirror.requests.every(({ url }) => url.endsWith('?ns=r.example')))
    })
  }

  it('writes to a registry itself, whatever mirrors it has', async (t) => {
    const from = await startFaultRegistry(t, IMAGE, () => undefined)
    const mirror = await startFaultRegistry(t, IMAGE, () => undefined)
    const to = await startOpenRegistry(t)
    const hosts = async () => [
      hostOf(mirror.host, 'copy'),
      hostOf(to.host, 'copy', ['pull', 'resolve', 'push']),
    ]
    await copy(`${from.host}/team/app:1`, 'w.example/copy:1', { toAccess: { hosts } })
    await assertHas(to.host)
    assert.equal(mirror.requests.length, 0)
  })
})

describe('copyImage by proxies', () => {
  const proxied = async (t: TestContext, backend: string) => {
    const { url, asked } = await startProxy(t, { backend, credentials: 'user:p' })
    const HTTP_PROXY = url.replace('//', '//user:p@')
    return { asked, access: { plainHttp: true as const, proxy: proxyFinder({ HTTP_PROXY }) } }
  }

  it('reads through one and writes through another', async (t) => {
    const from = await startFaultRegistry(t, IMAGE, () => undefined)
    const to = await startOpenRegistry(t)
    const [read, write] = [await proxied(t, from.host), await proxied(t, to.host)]
    await copy('r.example/team/app:1', 'w.example/copy:1', {
      fromAccess: read.access,
      toAccess: write.access,
    })
    await assertHas(to.host)
    assert.ok(read.asked.every((line) => /^(?:GET|HEAD) http:\/\/r\.example\/v2\//.test(line)))
    assert.ok(write.asked.every((line) => / http:\/\/w\.example\/v2\//.test(line)))
    assert.ok(write.asked.some((line) => line.startsWith('PUT')))
    assert.equal(read.asked.length, from.requests.length)
  })
})
