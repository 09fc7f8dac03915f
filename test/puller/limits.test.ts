import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference, parseRepositoryName } from '#oci/reference.ts'
import { copyImage, openStore, parseLocation, type PullOptions, pullImage } from '#puller/index.ts'
import { limitFiles, readLimits } from '#puller/mirrors/host-limits.ts'
import { type AtOnce, countAtOnce } from '../support/at-once.ts'
import {
  answerHonestly,
  type BlobRequest,
  startFaultRegistry,
  writeHead,
} from '../support/fault-registry.ts'
import { startServer, type TestServer } from '../support/http-server.ts'
import { startOpenRegistry } from '../support/open-registry.ts'
import { smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'
import { artifactOn, seed, setOf } from './copy/images.ts'

const MiB = 1024 * 1024
const PLATFORM = parsePlatform('linux/amd64')
const noise = (size: number) => tarOf({ noise: randomBytes(size) })
const IMAGE = smallImage([noise(5 * MiB), noise(3 * MiB), noise(10_000), noise(10_001)])

/** A registry that counts requests for layers, answers slowly, and breaks off some of them. */
function counting(
  t: TestContext,
  counts: readonly AtOnce[],
  breaksOff: (count: number, asked: BlobRequest) => boolean = () => false,
) {
  return startFaultRegistry(t, IMAGE, (count, asked) => async () => {
    for (const { add } of counts) add(asked.response)
    await sleep(5)
    if (!breaksOff(count, asked)) return answerHonestly(asked)
    writeHead(asked)
    asked.response.write(asked.content.subarray(asked.start, asked.start + 100), () =>
      asked.response.destroy(),
    )
  })
}

async function pull(t: TestContext, servers: readonly TestServer[], options: PullOptions) {
  const repository = parseRepositoryName('team/app')
  const hosts = servers.map(({ host }) => {
    const api = new URL(`http://${host}/v2/`)
    return { registry: host, repository, capabilities: ['pull', 'resolve'] as const, api }
  })
  const store = await openStore(tempDir(t))
  return await pullImage(store, parseReference('r.example/team/app:1'), {
    platform: PLATFORM,
    unpack: false,
    retry: { baseDelayMs: 1 },
    hosts: async () => hosts,
    ...options,
  })
}

describe('limits of a pull', () => {
  const ONE: readonly {
    readonly says: string
    readonly maxConnections?: number
    readonly ofHost?: number
    readonly most: number
  }[] = [
    { says: 'all hosts', maxConnections: 2, most: 2 },
    { says: 'the host', ofHost: 1, most: 1 },
    { says: 'the host, if that is lower', maxConnections: 3, ofHost: 2, most: 2 },
    { says: 'all hosts, if that is lower', maxConnections: 1, ofHost: 3, most: 1 },
  ]
  for (const { says, maxConnections, ofHost, most } of ONE) {
    it(`are those of ${says}: ${most} at once`, async (t) => {
      const count = countAtOnce()
      const server = await counting(t, [count])
      const limits = () => ({ maxConnections: ofHost })
      await pull(t, [server], { maxConnections, limits })
      assert.equal(count.most(), most)
    })
  }

  it('hold for each host, though all that a mirror broke off comes to the next one', async (t) => {
    const [ofMirror, ofOrigin] = [countAtOnce(), countAtOnce()]
    const mirror = await counting(t, [ofMirror], (count) => count > 3)
    const origin = await counting(t, [ofOrigin])
    const limits = (host: string) => ({ maxConnections: host === mirror.host ? 4 : 1 })
    await pull(t, [mirror, origin], { limits })
    assert.ok(ofMirror.most() > 1)
    assert.equal(ofOrigin.most(), 1)
  })

  it('hold for all hosts together, when some layers are at one and some at another', async (t) => {
    const [both, ofOrigin] = [countAtOnce(), countAtOnce()]
    const [first] = IMAGE.layers
    const mirror = await startFaultRegistry(t, IMAGE, (_count, asked) => async () => {
      if (asked.request.url?.includes(first?.digest ?? '')) {
        return asked.response.writeHead(404).end()
      }
      both.add(asked.response)
      await sleep(5)
      answerHonestly(asked)
    })
    const origin = await counting(t, [both, ofOrigin])
    await pull(t, [mirror, origin], { maxConnections: 2 })
    assert.equal(both.most(), 2)
    assert.ok(ofOrigin.most() > 0)
  })

  it('let a request go whose token could not be had', async (t) => {
    const backend = await counting(t, [])
    let failures = 2
    const front = await startServer(async (request, response) => {
      if (request.url?.startsWith('/token')) {
        return failures-- > 0
          ? response.writeHead(503).end()
          : response.writeHead(200).end(JSON.stringify({ token: 't' }))
      }
      if (request.headers.authorization === undefined) {
        const realm = `Bearer realm="http://${request.headers.host}/token",service="r"`
        return response.writeHead(401, { 'www-authenticate': realm }).end('{}')
      }
      const range = request.headers.range === undefined ? {} : { range: request.headers.range }
      const answer = await fetch(`http://${backend.host}${request.url}`, {
        method: request.method ?? 'GET',
        headers: range,
      })
      response.writeHead(answer.status, Object.fromEntries(answer.headers))
      return response.end(Buffer.from(await answer.arrayBuffer()))
    })
    t.after(() => front.close())
    await pull(t, [front], { limits: () => ({ maxConnections: 1 }) })
    assert.ok(failures < 0)
  })

  it('take no less time than the rate of a host allows', async (t) => {
    const server = await counting(t, [])
    const started = performance.now()
    await pull(t, [server], { limits: () => ({ limitRate: 16 * MiB }) })
    assert.ok(performance.now() - started > 300, '8 MiB at 16 MiB/s')
  })
})

describe('limits of a copy', () => {
  const SIGNED = setOf(IMAGE)
  const artifacts = ['one', 'two', 'three'].map((kind) =>
    artifactOn(IMAGE.manifest, `application/vnd.example.${kind}`),
  )

  for (const [says, most] of [
    ['1 request of each kind', 1],
    ['3 requests of each kind', 3],
  ] as const) {
    it(`leave ${says} to a registry that is both ends of it`, async (t) => {
      const [reads, writes] = [countAtOnce(), countAtOnce()]
      const { host } = await startOpenRegistry(t, undefined, (url, response) => {
        const count = url.startsWith('/v2/from/') ? reads : writes
        if (url !== '/v2/') count.add(response)
      })
      await seed(host, 'from', SIGNED, '1')
      for (const artifact of artifacts) await seed(host, 'from', artifact)
      const access = { limits: () => ({ maxConnections: most }) }
      const result = await copyImage(
        {
          from: parseLocation(`${host}/from:1`),
          to: parseLocation(`${host}/to:1`),
          fromAccess: access,
          toAccess: access,
          openStore: async () => assert.fail('the local store was opened'),
        },
        { withReferrers: true, maxConnections: 8 },
      )
      assert.equal(result.referrers, 3)
      assert.ok(reads.most() <= most && writes.most() <= most)
      assert.ok(most === 1 || writes.most() > 1)
    })
  }

  it('take no less time than a rate allows', async (t) => {
    const { host } = await startOpenRegistry(t)
    const { host: target } = await startOpenRegistry(t)
    await seed(host, 'from', SIGNED, '1')
    const places = {
      from: parseLocation(`${host}/from:1`),
      to: parseLocation(`${target}/to:1`),
      openStore: async () => assert.fail('the local store was opened'),
    }
    const started = performance.now()
    await copyImage(places, { limitRate: 16 * MiB })
    assert.ok(performance.now() - started > 300, '8 MiB at 16 MiB/s')
  })
})

describe('registries.toml', () => {
  const write = (path: string, text: string) => {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }

  it('has limits by host; those given come first, then the user, then the system', async (t) => {
    const [config, etc] = [tempDir(t), tempDir(t)]
    const files = limitFiles({ XDG_CONFIG_HOME: config }, '/nowhere', etc)
    write(
      join(config, 'dray/registries.toml'),
      '["a.example"]\nmax-connections = 2\n["b.example:5000"]\nlimit-rate = "1.5m"\n',
    )
    write(
      join(etc, 'dray/registries.toml'),
      '["a.example"]\nmax-connections = 3\nlimit-rate = "500k"\n["docker.io"]\nmax-connections = 4\n',
    )
    const find = await readLimits(files, new Map([['docker.io', { maxConnections: 5 }]]))
    assert.deepEqual(find('a.example'), { maxConnections: 2, limitRate: 500 * 1024 })
    assert.deepEqual(find('b.example:5000'), {
      ...{ maxConnections: undefined, limitRate: 1.5 * MiB },
    })
    assert.deepEqual(find('docker.io'), { maxConnections: 5, limitRate: undefined })
    assert.equal(find('c.example'), undefined)
  })

  const MISTAKES: readonly (readonly [text: string, says: RegExp])[] = [
    ['["a.example"]\nmax-connections = 0', /registries\.toml:2: a\.example\.max-connections: /],
    ['["a.example"]\nmax-connections = "2"', /:2: a\.example\.max-connections: /],
    ['["a.example"]\n\nlimit-rate = "fast"', /:3: a\.example\.limit-rate: write bytes per second/],
    ['["a.example"]\nmax-conections = 2', /:1: a\.example: .*max-conections/],
    ['max-connections = 2', /:1: max-connections: /],
    ['["a.example"\n', /:1: /],
  ]
  for (const [text, says] of MISTAKES) {
    it(`names the line of a mistake: ${JSON.stringify(text)}`, async (t) => {
      const path = join(tempDir(t), 'registries.toml')
      write(path, text)
      await assert.rejects(readLimits([path]), { code: 'CONFIG_INVALID', message: says })
    })
  }
})
