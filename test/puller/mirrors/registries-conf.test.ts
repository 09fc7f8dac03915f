import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { parseReference } from '#oci/reference.ts'
import { hostFinder, hostSettings } from '#puller/mirrors/find-hosts.ts'
import { tempDir } from '../../support/temp-dir.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`

/** Where an image is looked for, as `registry/repository capabilities`. */
async function places(
  t: TestContext,
  text: string,
  image: string,
  access: 'pull' | 'push' = 'pull',
) {
  const file = join(tempDir(t), 'registries.conf')
  writeFileSync(file, text)
  const find = hostFinder({ files: [file], dropIns: [], hostsDirs: [] })
  const found = await find(parseReference(image), access)
  return found?.map(
    ({ registry, repository, capabilities, insecure }) =>
      `${registry}/${repository} ${capabilities.join('+')}${insecure ? ' insecure' : ''}`,
  )
}

const FOO = `
unqualified-search-registries = ["elsewhere.example"]
[[registry]]
prefix = "r.example/foo"
location = "internal.example:5000/bar"
[[registry.mirror]]
location = "m0.example/foo/"
[[registry.mirror]]
location = "m1.example"
insecure = true
`
const entry = (lines: string, mirror = '') =>
  `[[registry]]\n${lines}\n[[registry.mirror]]\nlocation = "m.example"\n${mirror}`

interface Case {
  readonly what: string
  readonly text: string
  readonly image: string
  readonly is: readonly string[] | undefined
}

const CASES: readonly Case[] = [
  {
    what: 'rewrites what follows the prefix, mirrors first',
    text: FOO,
    image: 'r.example/foo/team/app:1',
    is: [
      'm0.example/foo/team/app pull+resolve',
      'm1.example/team/app pull+resolve insecure',
      'internal.example:5000/bar/team/app pull+resolve',
    ],
  },
  { what: 'matches whole components', text: FOO, image: 'r.example/food/app', is: undefined },
  { what: 'leaves others alone', text: FOO, image: 'r.example/other', is: undefined },
  { what: 'searches nowhere for short names', text: FOO, image: 'debian', is: undefined },
  {
    what: 'takes the location for the prefix',
    text: entry('location = "docker.io"'),
    image: 'debian',
    is: ['m.example/library/debian pull+resolve', 'docker.io/library/debian pull+resolve'],
  },
  {
    what: 'prefers the longest prefix',
    text: `${entry('prefix = "*.example"')}\n[[registry]]\nprefix = "a.b.example/x"\nlocation = "c.test"\n`,
    image: 'a.b.example/x/y',
    is: ['c.test/y pull+resolve'],
  },
  {
    what: 'matches names under a domain',
    text: entry('prefix = "*.b.example"'),
    image: 'a.b.example/x',
    is: ['m.example/x pull+resolve', 'a.b.example/x pull+resolve'],
  },
  {
    what: 'matches a domain only in the host',
    text: entry('prefix = "*.example"'),
    image: 'a.test/b.example/x',
    is: undefined,
  },
  {
    what: 'does not match the domain itself',
    text: entry('prefix = "*.example"'),
    image: 'example:5000/x',
    is: undefined,
  },
  {
    what: 'asks a mirror for digests only',
    text: entry('prefix = "r.example"\nmirror-by-digest-only = true'),
    image: 'r.example/x',
    is: ['m.example/x pull', 'r.example/x pull+resolve'],
  },
  {
    what: 'asks one mirror for digests only',
    text: entry('prefix = "r.example"', 'pull-from-mirror = "digest-only"'),
    image: 'r.example/x',
    is: ['m.example/x pull', 'r.example/x pull+resolve'],
  },
  {
    what: 'asks a mirror of tags for no digest',
    text: entry('prefix = "r.example"', 'pull-from-mirror = "tag-only"'),
    image: `r.example/x@${DIGEST}`,
    is: ['r.example/x pull+resolve'],
  },
  {
    what: 'allows a registry without TLS',
    text: '[[registry]]\nlocation = "r.example:5000"\ninsecure = true',
    image: 'r.example:5000/x',
    is: ['r.example:5000/x pull+resolve insecure'],
  },
]

describe('registries.conf', () => {
  for (const { what, text, image, is } of CASES) {
    it(what, async (t) => assert.deepEqual(await places(t, text, image), is))
  }

  it('sends what is pushed to the registry that was named', async (t) => {
    assert.deepEqual(await places(t, FOO, 'r.example/foo/app', 'push'), [
      'r.example/foo/app pull+resolve+push',
    ])
  })

  it('blocks, and says where that is written', async (t) => {
    const text = 'x = 1\n[[registry]]\nprefix = "r.example"\nblocked = true'
    for (const access of ['pull', 'push'] as const) {
      await assert.rejects(places(t, text, 'r.example/x', access), {
        code: 'DENIED',
        message: /^r\.example\/x is blocked .*registries\.conf:4/,
      })
    }
  })

  const WRONG: readonly (readonly [text: string, says: RegExp])[] = [
    ['[[registry]\n', /registries\.conf:1: /],
    ['[[registry]]\ninsecure = true', /registries\.conf:1: registry: it needs a prefix/],
    ['[[registry]]\nprefix = "https://r.example"', /registries\.conf:2: .*without a scheme/],
    ['[[registry]]\nlocation = "r.example/a:1"', /registries\.conf:2: .*no tag/],
    [entry('prefix = "r.example"', 'pull-from-mirror = "never"'), /registries\.conf:5: /],
    ['[registries.search]\nregistries = ["a"]', /registries\.conf:1: registries: .*old format/],
    ['[[registry]]\nprefix = "r.example/x"\nlocation = "m.example"', /:1: registry: it makes m/],
  ]
  for (const [text, says] of WRONG) {
    it(`is refused by file and line: ${JSON.stringify(text)}`, async (t) => {
      await assert.rejects(places(t, text, 'r.example/x'), {
        code: 'CONFIG_INVALID',
        message: says,
      })
    })
  }
})

describe('hostSettings', () => {
  const names = async (t: TestContext, files: Readonly<Record<string, string>>, env = {}) => {
    const root = tempDir(t)
    for (const [name, location] of Object.entries(files)) {
      const path = join(root, name)
      mkdirSync(join(path, '..'), { recursive: true })
      writeFileSync(path, `[[registry]]\nprefix = "r.example"\nlocation = "${location}"\n`)
    }
    const settings = hostSettings(env, join(root, 'home'), join(root, 'etc'))
    const found = await hostFinder(settings)({ registry: 'r.example' }, 'pull')
    return found?.at(-1)?.registry
  }
  const SYSTEM = { 'etc/containers/registries.conf': 'system' }
  const DROPPED = {
    'etc/containers/registries.conf.d/20-b.conf': 'second',
    'etc/containers/registries.conf.d/10-a.conf': 'first',
    'etc/containers/registries.conf.d/99-c.txt': 'other',
  }
  const OWN = { 'home/.config/containers/registries.conf': 'own' }
  const OWN_DROPPED = { 'home/.config/containers/registries.conf.d/00.conf': 'own-dropped' }

  it('finds the file of the system, the drop-ins by name, the user’s last', async (t) => {
    assert.equal(await names(t, {}), undefined)
    assert.equal(await names(t, SYSTEM), 'system')
    assert.equal(await names(t, { ...SYSTEM, ...DROPPED }), 'second')
    assert.equal(await names(t, { ...SYSTEM, ...OWN_DROPPED, ...DROPPED }), 'own-dropped')
  })

  it('takes the file of the user in place of those of the system', async (t) => {
    assert.equal(await names(t, { ...SYSTEM, ...DROPPED, ...OWN }), 'own')
    assert.equal(await names(t, { ...OWN, ...OWN_DROPPED }), 'own-dropped')
  })

  it('takes the file that is named in place of all', async (t) => {
    const named = join(tempDir(t), 'named.conf')
    writeFileSync(named, '[[registry]]\nprefix = "r.example"\nlocation = "named"')
    const env = { CONTAINERS_REGISTRIES_CONF: named }
    assert.equal(await names(t, { ...SYSTEM, ...OWN, ...OWN_DROPPED }, env), 'named')
  })

  it('takes registries.conf before hosts.toml, which is asked where that says nothing', async (t) => {
    const root = tempDir(t)
    for (const registry of ['r.example', 'other.example']) {
      const dir = join(root, 'etc/containerd/certs.d', registry)
      mkdirSync(dir, { recursive: true })
      writeFileSync(join(dir, 'hosts.toml'), 'server = "https://containerd.example"')
    }
    mkdirSync(join(root, 'etc/containers'))
    const text = '[[registry]]\nprefix = "r.example"\nlocation = "podman.example"'
    writeFileSync(join(root, 'etc/containers/registries.conf'), text)
    const find = hostFinder(hostSettings({}, join(root, 'home'), join(root, 'etc')))
    const first = async (registry: string) => (await find({ registry }, 'pull'))?.[0]?.registry
    assert.equal(await first('r.example'), 'podman.example')
    assert.equal(await first('other.example'), 'containerd.example')
    assert.equal(await first('third.example'), undefined)
  })
})
