import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { parseRepositoryName } from '#oci/reference.ts'
import { readHostsToml } from '#puller/mirrors/hosts-toml.ts'
import { tempDir } from '../../support/temp-dir.ts'

const REPOSITORY = parseRepositoryName('team/app')

function dirWith(t: TestContext, registry: string, text: string): string {
  const dir = tempDir(t)
  mkdirSync(join(dir, registry), { recursive: true })
  writeFileSync(join(dir, registry, 'hosts.toml'), text)
  return dir
}

async function hosts(t: TestContext, text: string, registry = 'docker.io') {
  const found = await readHostsToml([dirWith(t, registry, text)], {
    registry,
    repository: REPOSITORY,
  })
  return found?.map(({ api, ...rest }) => ({
    ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
    api: api?.href,
  }))
}

const ALL = ['pull', 'resolve', 'push']
const HUB = { registry: 'docker.io', repository: REPOSITORY, capabilities: ALL, api: undefined }

describe('hosts.toml', () => {
  it('names mirrors in order, then the server', async (t) => {
    const text = `
      server = "https://registry-1.docker.io"
      [host."https://z.example:5000"]
        capabilities = ["pull", "resolve", "referrers"]
        dial_timeout = "1m1.5s"
      [host."http://a.example".header]
        X-Team = ["a", "b"]
        authorization = "Basic x"
    `
    assert.deepEqual(await hosts(t, text), [
      {
        registry: 'z.example:5000',
        repository: REPOSITORY,
        capabilities: ['pull', 'resolve'],
        namespace: 'docker.io',
        connectTimeoutMs: 61_500,
        api: 'https://z.example:5000/v2/',
      },
      {
        registry: 'a.example',
        repository: REPOSITORY,
        capabilities: ALL,
        namespace: 'docker.io',
        headers: { 'x-team': 'a, b', authorization: 'Basic x' },
        api: 'http://a.example/v2/',
      },
      { ...HUB, api: 'https://registry-1.docker.io/v2/' },
    ])
  })

  it('without a server ends with the registry, found as ever', async (t) => {
    assert.deepEqual((await hosts(t, '[host."a.example"]'))?.at(-1), HUB)
    assert.deepEqual(await hosts(t, '# nothing'), [HUB])
  })

  const APIS: readonly (readonly [url: string, settings: string, api: string])[] = [
    ['https://a.example', '', 'https://a.example/v2/'],
    ['a.example/proxy/', '', 'https://a.example/proxy/v2/'],
    ['https://a.example/v2', '', 'https://a.example/v2/'],
    ['https://a.example/x/v2/', '', 'https://a.example/x/v2/'],
    ['https://a.example/v2/hub', 'override_path = true', 'https://a.example/v2/hub/'],
    ['https://a.example', 'override_path = true', 'https://a.example/'],
  ]
  for (const [url, settings, api] of APIS) {
    it(`has the API of ${url} at ${api}${settings && `, by ${settings}`}`, async (t) => {
      const [host] = (await hosts(t, `[host."${url}"]\n${settings}`)) ?? []
      assert.equal(host?.api, api)
    })
  }

  const FOUND: readonly (readonly [directory: string, registry: string])[] = [
    ['r.example', 'r.example'],
    ['r.example:5000', 'r.example:5000'],
    ['r.example_5000_', 'r.example:5000'],
    ['_default', 'r.example'],
  ]
  for (const [directory, registry] of FOUND) {
    it(`in ${directory} is for ${registry}`, async (t) => {
      const dir = dirWith(t, directory, 'server = "https://s.example"')
      const [host] = (await readHostsToml([tempDir(t), dir], { registry })) ?? []
      assert.equal(host?.registry, 's.example')
    })
  }

  it('says nothing of other registries', async (t) => {
    const dir = dirWith(t, 'r.example:5000', '')
    assert.equal(await readHostsToml([dir], { registry: 'r.example' }), undefined)
  })

  it('names certificates by their place beside it', async (t) => {
    const dir = dirWith(t, 'r.example', 'ca = ["ca.pem"]\nclient = [["me.pem", "/absent/me.key"]]')
    writeFileSync(join(dir, 'r.example/ca.pem'), 'CA')
    writeFileSync(join(dir, 'r.example/me.pem'), 'ME')
    await assert.rejects(readHostsToml([dir], { registry: 'r.example' }), {
      code: 'CONFIG_INVALID',
      message: /r\.example\/hosts\.toml:2: client: .*\/absent\/me\.key/,
    })
    writeFileSync(
      join(dir, 'r.example/hosts.toml'),
      'ca = "ca.pem"\nclient = "me.pem"\nskip_verify = true',
    )
    const [host] = (await readHostsToml([dir], { registry: 'r.example' })) ?? []
    assert.equal(host?.certificates?.ca?.at(-1), 'CA')
    assert.equal(String(host?.certificates?.cert), 'ME')
    assert.equal(String(host?.certificates?.key), 'ME')
    assert.equal(host?.certificates?.rejectUnauthorized, false)
  })

  const WRONG: readonly (readonly [text: string, says: RegExp])[] = [
    ['server = "x"\n[host', /hosts\.toml:2: /],
    ['[host."a.example"]\ncapabilities = ["fly"]', /hosts\.toml:2: host\..*capabilities/],
    ['[host."a.example"]\n\nskip_verify = "yes"', /hosts\.toml:3: .*skip_verify/],
    ['[host."a.example"]\ndial_timeout = "30"', /hosts\.toml:2: .*dial_timeout: write a time/],
    ['\n[host."https://"]', /hosts\.toml:2: .*no URL of a registry/],
    ['\nserver = "ftp://a.example"', /hosts\.toml:2: server: .*no URL of a registry/],
    ['[host."a.example".header]\nx = 1', /hosts\.toml:2: .*header\.x/],
    ['[host."a.example"]\nca = "absent.pem"', /hosts\.toml:2: .*ca: .*absent\.pem/],
  ]
  for (const [text, says] of WRONG) {
    it(`is refused by file and line: ${JSON.stringify(text)}`, async (t) => {
      await assert.rejects(hosts(t, text), { code: 'CONFIG_INVALID', message: says })
    })
  }
})
