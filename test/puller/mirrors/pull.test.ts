import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference, parseRepositoryName } from '#oci/reference.ts'
import type { Capability, RegistryHost } from '#puller/mirrors/registry-host.ts'
import { openStore, type PullOptions, pullImage } from '#puller/index.ts'
import { createCertificate } from '../../support/certificates.ts'
import {
  answerHonestly,
  type Fault,
  type FaultRegistry,
  startFaultRegistry,
  writeHead,
} from '../../support/fault-registry.ts'
import { startServer, type TestServer } from '../../support/http-server.ts'
import { smallImage, tarOf } from '../../support/small-image.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { startTlsFront } from '../../support/tls-front.ts'

const MiB = 1024 * 1024
const PLATFORM = parsePlatform('linux/amd64')
const IMAGE = smallImage([tarOf({ noise: randomBytes(3 * MiB) })])
const [LAYER] = IMAGE.layers
const REPOSITORY = parseRepositoryName('team/app')

const honest = (t: TestContext) => startFaultRegistry(t, IMAGE, () => undefined)
const faulty = (t: TestContext, fault: Fault) => startFaultRegistry(t, IMAGE, () => fault)

function hostOf({ host }: TestServer, capabilities: readonly Capability[] = ['pull', 'resolve']) {
  const api = new URL(`http://${host}/v2/`)
  return { registry: host, repository: REPOSITORY, capabilities, api, namespace: 'r.example' }
}

/** Pulls `r.example/team/app:1` from these places. */
async function pull(t: TestContext, hosts: readonly RegistryHost[], options: PullOptions = {}) {
  const store = await openStore(tempDir(t))
  const notes: string[] = []
  const result = await pullImage(store, parseReference('r.example/team/app:1'), {
    platform: PLATFORM,
    unpack: false,
    stallTimeoutMs: 600,
    retry: { baseDelayMs: 1 },
    hosts: async () => hosts,
    debug: (note) => notes.push(note),
    ...options,
  })
  assert.equal(result.manifestDigest, IMAGE.manifest.digest)
  for (const blob of [...IMAGE.layers, IMAGE.config]) {
    assert.deepEqual(readFileSync(store.pathOf(blob)), IMAGE.blobs.get(blob.digest))
  }
  return notes
}

const blobsOf = (server: TestServer) =>
  server.requests.filter(({ url }) => url.includes(`/blobs/${LAYER?.digest}`)).length

describe('a pull with mirrors', () => {
  it('asks the first mirror, tells it for whom, and nobody else', async (t) => {
    const [mirror, origin] = [await honest(t), await honest(t)]
    const notes = await pull(t, [hostOf(mirror), hostOf(origin)])
    assert.equal(origin.requests.length, 0)
    assert.ok(mirror.requests.every(({ url }) => url.endsWith('?ns=r.example')))
    assert.deepEqual(notes, [`r.example/team/app comes from ${mirror.host}`])
  })

  const FAILURES: Readonly<Record<string, (t: TestContext) => Promise<TestServer>>> = {
    'does not answer': async (t) => {
      const server = await honest(t)
      await server.close()
      return { ...server, close: async () => undefined }
    },
    'lacks the image': (t) => serve(t, 404),
    'asks for credentials': (t) => serve(t, 401),
    'is broken': (t) => serve(t, 500),
    'is busy': (t) => serve(t, 429),
    'lacks the layer': (t) => faulty(t, ({ response }) => response.writeHead(404).end()),
    'breaks each range off': (t) =>
      faulty(t, (asked) => {
        writeHead(asked)
        asked.response.write(asked.content.subarray(asked.start, asked.start + 1000), () =>
          asked.response.destroy(),
        )
      }),
    'stalls in each range': (t) =>
      faulty(t, (asked) => {
        writeHead(asked)
        asked.response.write(asked.content.subarray(asked.start, asked.start + 1000))
      }),
    'sends other ranges than asked for': (t) =>
      faulty(t, (asked) => {
        writeHead(asked, { 'content-range': `bytes 1-${asked.end}/${asked.content.length}` })
        asked.response.end(asked.content.subarray(asked.start, asked.end))
      }),
    'sends wrong bytes': (t) =>
      faulty(t, (asked) => answerHonestly(asked, randomBytes(asked.content.length))),
  }
  for (const [what, start] of Object.entries(FAILURES)) {
    it(`goes on with the registry where a mirror ${what}`, async (t) => {
      const [mirror, origin] = [await start(t), await honest(t)]
      await pull(t, [hostOf(mirror), hostOf(origin)])
      assert.ok(blobsOf(origin) > 0)
    })
  }

  it('goes on from where a mirror broke off, and leaves it alone', async (t) => {
    let left = 2
    const mirror = await startFaultRegistry(t, IMAGE, () => (left-- > 0 ? undefined : cut))
    const origin = await honest(t)
    await pull(t, [hostOf(mirror), hostOf(origin)], { maxConnections: 1 })
    assert.ok(origin.sent() < (LAYER?.size ?? 0), 'what the mirror sent is not fetched again')
    // Two that came, one that broke, and another try of that, by a connection of another kind.
    assert.equal(blobsOf(mirror), 4)
  })

  it('resolves tags only where that is right', async (t) => {
    const [mirror, origin] = [await honest(t), await honest(t)]
    await pull(t, [hostOf(mirror, ['pull']), hostOf(origin)])
    const tags = (server: TestServer) =>
      server.requests.filter(({ url }) => url.includes('/manifests/1'))
    assert.equal(tags(mirror).length, 0)
    assert.deepEqual(
      tags(origin).map(({ method }) => method),
      ['HEAD'],
    )
    assert.ok(mirror.requests.some(({ url }) => url.includes('/manifests/sha256:')))
    assert.equal(blobsOf(origin), 0)
  })

  it('says of all places why they failed', async (t) => {
    const [mirror, origin] = [await serve(t, 403), await serve(t, 404)]
    await assert.rejects(pull(t, [hostOf(mirror), hostOf(origin)]), {
      code: 'IMAGE_UNKNOWN',
      message: new RegExp(`${origin.host} has no team/app.*before that ${mirror.host}: .*403`),
    })
  })

  it('fails where the registry itself sends wrong bytes', async (t) => {
    const wrong: Fault = (asked) => answerHonestly(asked, randomBytes(asked.content.length))
    const [mirror, origin] = [await faulty(t, wrong), await faulty(t, wrong)]
    await assert.rejects(pull(t, [hostOf(mirror), hostOf(origin)]), { code: 'CONTENT_MISMATCH' })
  })

  it('shows a mirror its own credentials and headers, and none of the registry', async (t) => {
    const [mirror, origin] = [await guarded(t, 'mirror'), await guarded(t, 'origin')]
    const own = { ...hostOf(mirror), headers: { 'x-team': 'a' } }
    const asked: string[] = []
    const credentials = async (registry: string) => {
      asked.push(registry)
      const username = registry === mirror.host ? 'mirror' : 'origin'
      return { kind: 'password', username, password: 'p' } as const
    }
    await pull(t, [own, hostOf(origin)], { credentials })
    assert.ok(blobsOf(mirror) > 0)
    assert.ok(mirror.requests.every(({ headers }) => headers['x-team'] === 'a'))
    assert.deepEqual(asked, [mirror.host])
    assert.equal(origin.requests.length, 0)
  })

  it('shows each place its own credentials alone, where a mirror lacks what the registry has', async (t) => {
    const mirror = await guarded(t, 'mirror', { hasBlobs: false })
    const origin = await guarded(t, 'origin')
    const credentials = async (registry: string) => {
      const username = registry === mirror.host ? 'mirror' : 'origin'
      return { kind: 'password', username, password: 'p' } as const
    }
    await pull(t, [hostOf(mirror), hostOf(origin)], { credentials })
    assert.ok(blobsOf(origin) > 0)
    for (const [place, user] of [
      [mirror, 'mirror'],
      [origin, 'origin'],
    ] as const) {
      const shown = new Set(place.requests.map(({ headers }) => headers.authorization))
      const own = `Basic ${Buffer.from(`${user}:p`).toString('base64')}`
      assert.deepEqual(shown, new Set([undefined, own]))
    }
  })

  it('shows no place the credentials of another one when it has none of its own', async (t) => {
    const [mirror, origin] = [await guarded(t, 'origin'), await guarded(t, 'origin')]
    const credentials = async (registry: string) =>
      registry === origin.host
        ? ({ kind: 'password', username: 'origin', password: 'p' } as const)
        : undefined
    await pull(t, [hostOf(mirror), hostOf(origin)], { credentials })
    assert.ok(mirror.requests.length > 0)
    assert.ok(mirror.requests.every(({ headers }) => headers.authorization === undefined))
  })

  it('takes headers along to no other host', async (t) => {
    const storage = await honest(t)
    const mirror = await faulty(t, ({ request, response }) =>
      response
        .writeHead(307, {
          location: `http://localhost:${storage.host.split(':')[1]}${request.url}`,
        })
        .end(),
    )
    await pull(t, [{ ...hostOf(mirror), headers: { 'x-team': 'a' } }, hostOf(await honest(t))])
    assert.ok(blobsOf(storage) > 0)
    assert.ok(storage.requests.every(({ headers }) => headers['x-team'] === undefined))
  })

  it('trusts a registry without a good certificate only where that is said', async (t) => {
    const certificate = createCertificate('self', { dns: ['elsewhere.example'] })
    const registry = await startTlsFront(t, (await honest(t)).host, certificate)
    const host: RegistryHost = {
      registry,
      repository: REPOSITORY,
      capabilities: ['pull', 'resolve'],
    }
    await assert.rejects(pull(t, [host]), { code: 'REGISTRY_UNREACHABLE' })
    await pull(t, [{ ...host, insecure: true }])
  })

  it('says that no host may be asked', async (t) => {
    await assert.rejects(pull(t, [hostOf(await honest(t), ['push'])]), { code: 'CONFIG_INVALID' })
  })
})

const cut: Fault = ({ response }) => response.destroy()

/** A registry that answers everything alike. */
async function serve(t: TestContext, status: number): Promise<TestServer> {
  const server = await startServer((_request, response) => response.writeHead(status).end())
  t.after(() => server.close())
  return server
}

/** A registry that wants a user's name. */
async function guarded(
  t: TestContext,
  user: string,
  { hasBlobs = true } = {},
): Promise<TestServer> {
  const backend: FaultRegistry = await honest(t)
  const server = await startServer(async (request, response) => {
    const sent = Buffer.from(request.headers.authorization?.slice(6) ?? '', 'base64').toString()
    if (sent !== `${user}:p`) {
      return response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end()
    }
    if (!hasBlobs && request.url?.includes('/blobs/')) return response.writeHead(404).end()
    const answer = await fetch(`http://${backend.host}${request.url}`, {
      method: request.method ?? 'GET',
      headers: request.headers.range === undefined ? {} : { range: request.headers.range },
    })
    response.writeHead(answer.status, Object.fromEntries(answer.headers))
    return response.end(Buffer.from(await answer.arrayBuffer()))
  })
  t.after(() => server.close())
  return server
}
