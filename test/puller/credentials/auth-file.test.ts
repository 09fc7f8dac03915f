import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { parseRepositoryName } from '#oci/reference.ts'
import { credentialIn, readAuthFile } from '#puller/credentials/auth-file.ts'
import { authFiles, credentialFinder } from '#puller/credentials/find.ts'
import { tempDir } from '../../support/temp-dir.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')

function fileOf(t: TestContext, content: string): Promise<string> {
  const path = join(tempDir(t), 'config.json')
  return writeFile(path, content).then(() => path)
}

async function lookUp(t: TestContext, auths: object, registry: string, repository?: string) {
  const file = await readAuthFile(await fileOf(t, JSON.stringify({ auths })))
  assert.ok(file)
  const name = repository === undefined ? undefined : parseRepositoryName(repository)
  return credentialIn(file, registry, name)
}

const password = (username: string, secret: string) => ({
  kind: 'password',
  username,
  password: secret,
})

describe('an auth file', () => {
  const ENTRIES: readonly {
    readonly what: string
    readonly entry: object
    readonly gives: object | undefined
  }[] = [
    { what: 'auth', entry: { auth: base64('me:secret') }, gives: password('me', 'secret') },
    {
      what: 'a password with colons',
      entry: { auth: base64('me:a:b:c') },
      gives: password('me', 'a:b:c'),
    },
    {
      what: 'an auth padded with zeros',
      entry: { auth: base64('me:secret\0\0') },
      gives: password('me', 'secret'),
    },
    {
      what: 'letters beyond ASCII',
      entry: { auth: base64('jürgen:pässwort') },
      gives: password('jürgen', 'pässwort'),
    },
    {
      what: 'user name and password apart',
      entry: { username: 'me', password: 'secret' },
      gives: password('me', 'secret'),
    },
    {
      what: 'an identity token, whatever else it holds',
      entry: { auth: base64('me:old'), identitytoken: 'refresh' },
      gives: { kind: 'identity-token', token: 'refresh' },
    },
    { what: 'nothing, as docker leaves it beside a helper', entry: {}, gives: undefined },
    { what: 'nulls', entry: { auth: null, identitytoken: null }, gives: undefined },
  ]
  for (const { what, entry, gives } of ENTRIES) {
    it(`is understood with ${what}`, async (t) => {
      assert.deepEqual(await lookUp(t, { 'registry.example': entry }, 'registry.example'), gives)
    })
  }

  const KEYS = [
    { key: 'registry.example', registry: 'registry.example' },
    { key: 'registry.example:5000', registry: 'registry.example:5000' },
    { key: 'https://registry.example', registry: 'registry.example' },
    { key: 'https://registry.example/v1/', registry: 'registry.example' },
    { key: 'http://registry.example/v2/', registry: 'registry.example' },
    { key: 'https://index.docker.io/v1/', registry: 'docker.io' },
    { key: 'index.docker.io', registry: 'docker.io' },
    { key: 'docker.io', registry: 'docker.io' },
  ]
  for (const { key, registry } of KEYS) {
    it(`knows ${registry} as ${key}`, async (t) => {
      const entry = { auth: base64('me:secret') }
      assert.deepEqual(await lookUp(t, { [key]: entry }, registry), password('me', 'secret'))
    })
  }

  it('keeps hosts, ports and longer names apart', async (t) => {
    const auths = { 'registry.example': { auth: base64('me:secret') } }
    for (const other of [
      'registry.example:5000',
      'example',
      'registry.example.org',
      'my-registry.example',
    ])
      assert.equal(await lookUp(t, auths, other), undefined)
  })

  it('prefers the longest prefix of the repository', async (t) => {
    const auths = {
      'r.example': { auth: base64('host:1') },
      'r.example/team': { auth: base64('team:1') },
      'r.example/team/app': { auth: base64('app:1') },
    }
    const userOf = async (repository: string) => {
      const found = await lookUp(t, auths, 'r.example', repository)
      return found?.kind === 'password' ? found.username : undefined
    }
    assert.equal(await userOf('team/app'), 'app')
    assert.equal(await userOf('team/app/web'), 'app')
    assert.equal(await userOf('team/application'), 'team')
    assert.equal(await userOf('other'), 'host')
  })

  const DAMAGED = ['{', '[]', '{"auths":[]}', '{"auths":{"r":{"auth":1}}}', '{"credsStore":{}}']
  for (const content of DAMAGED) {
    it(`that holds ${content} is refused by name`, async (t) => {
      const path = await fileOf(t, content)
      await assert.rejects(readAuthFile(path), {
        code: 'CONFIG_INVALID',
        message: new RegExp(`cannot use the credentials in ${path}`),
      })
    })
  }

  it('with a damaged entry says which, and never what it holds', async (t) => {
    const auths = { 'r.example': { auth: base64('hunter2') }, 'other.example': {} }
    await assert.rejects(lookUp(t, auths, 'r.example'), (error: Error) => {
      assert.match(error.message, /entry of r\.example .* log in again/)
      assert.doesNotMatch(error.message, /hunter2|aHVudGVyMg/)
      return true
    })
    assert.equal(await lookUp(t, auths, 'other.example'), undefined)
  })

  it('may be missing or empty', async (t) => {
    assert.equal(await readAuthFile(join(tempDir(t), 'none')), undefined)
    assert.deepEqual((await readAuthFile(await fileOf(t, '')))?.auths, {})
  })
})

describe('the files of credentials', () => {
  const NAMED = [
    {
      env: { XDG_RUNTIME_DIR: '/run/user/7' },
      files: [
        '/run/user/7/containers/auth.json',
        '/home/me/.config/containers/auth.json',
        '/home/me/.docker/config.json',
      ],
    },
    {
      env: { XDG_CONFIG_HOME: '/c', DOCKER_CONFIG: '/d' },
      files: ['/c/containers/auth.json', '/d/config.json'],
    },
    { env: { REGISTRY_AUTH_FILE: '/a.json', DOCKER_CONFIG: '/d' }, files: ['/a.json'] },
  ]
  for (const { env, files } of NAMED) {
    it(`are ${files.join(', ')} with ${Object.keys(env).join(' and ')}`, () => {
      assert.deepEqual(authFiles(env, { home: '/home/me' }), files)
    })
  }

  it('are the one that is named, whatever the environment says', () => {
    const env = { REGISTRY_AUTH_FILE: '/a.json' }
    assert.deepEqual(authFiles(env, { home: '/home/me', named: '/b.json' }), ['/b.json'])
  })

  it('are asked in turn', async (t) => {
    const file = (user: string, registry: string) =>
      fileOf(t, JSON.stringify({ auths: { [registry]: { auth: base64(`${user}:x`) } } }))
    const find = credentialFinder([
      join(tempDir(t), 'none'),
      await file('first', 'a.example'),
      await file('second', 'a.example'),
      await file('third', 'b.example'),
    ])
    assert.deepEqual(await find('a.example'), password('first', 'x'))
    assert.deepEqual(await find('b.example'), password('third', 'x'))
    assert.equal(await find('c.example'), undefined)
  })
})
