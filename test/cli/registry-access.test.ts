import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { registryAccess } from '#cli/registry-access.ts'
import { dray, startRegistryProcess } from '../support/dray.ts'
import { smallImage, tarOf, writeLayout } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'

const GIVEN = { kind: 'password', username: 'me', password: 'given' } as const

describe('credentials of the command line', () => {
  it('are for the registry that is named, and those of the files for its mirrors', async (t) => {
    const authfile = join(tempDir(t), 'auth.json')
    const auths = { 'm.example': { username: 'mirror', password: 'kept' } }
    writeFileSync(authfile, JSON.stringify({ auths }))
    const options = { creds: GIVEN, tokenServer: [], authfile }
    const { credentials } = await registryAccess(options, 'r.example')
    assert.deepEqual(await credentials?.('r.example'), GIVEN)
    assert.deepEqual(await credentials?.('m.example'), {
      ...{ kind: 'password', username: 'mirror', password: 'kept' },
    })
    assert.equal(await credentials?.('other.example'), undefined)
  })
})

describe('limits of the command line', () => {
  it('are those of the hosts that they name', async () => {
    const hosts = new Map([['r.example:5000', 2]])
    const rates = new Map([['m.example', 1024]])
    const { limits } = await registryAccess({
      tokenServer: [],
      maxConnections: { all: 3, hosts },
      limitRate: { hosts: rates },
    })
    assert.deepEqual(limits?.('r.example:5000'), { maxConnections: 2, limitRate: undefined })
    assert.deepEqual(limits?.('m.example'), { maxConnections: undefined, limitRate: 1024 })
  })
})

describe('dray pull', () => {
  it('pulls from a mirror of hosts.toml, and says so when asked', async (t) => {
    const dir = tempDir(t)
    const path = (name: string) => join(dir, name)
    const registry = await startRegistryProcess(['--data', path('data')])
    t.after(() => registry.stop())
    mkdirSync(path('layout'))
    writeLayout(path('layout'), smallImage([tarOf({ file: 'x' })]))
    const root = ['--root', path('root')]
    const image = `${registry.host}/team/app:1`
    const pushed = await dray(['push', ...root, `oci:${path('layout')}`, image])
    assert.equal(pushed.code, 0, pushed.stderr)
    mkdirSync(path('containerd/certs.d/r.example'), { recursive: true })
    const toml = `server = "https://r.example"\n[host."http://${registry.host}"]\ncapabilities = ["pull", "resolve"]\n`
    const file = path('containerd/certs.d/r.example/hosts.toml')
    writeFileSync(file, toml)
    const args = ['--debug', 'pull', '--no-unpack', '-q', ...root, 'r.example/team/app:1']
    const options = ['--platform', 'linux/amd64']
    const env = { XDG_CONFIG_HOME: dir, CONTAINERS_REGISTRIES_CONF: path('none.conf') }
    const pulled = await dray([...args, ...options], { env })
    assert.equal(pulled.code, 0, pulled.stderr)
    assert.match(pulled.stderr, new RegExp(`r\\.example/team/app comes from ${registry.host}`))
    mkdirSync(path('dray'))
    writeFileSync(path('dray/registries.toml'), '["r.example"]\nmax-connections = 0\n')
    const limited = await dray([...args, ...options], { env })
    assert.equal(limited.code, 1)
    assert.match(limited.stderr, /dray\/registries\.toml:2: r\.example\.max-connections: /)
    writeFileSync(path('dray/registries.toml'), '["r.example"]\nmax-connections = 1\n')
    writeFileSync(file, 'server = 1\n')
    const wrong = await dray([...args, ...options], { env })
    assert.equal(wrong.code, 1)
    assert.match(wrong.stderr, /r\.example\/hosts\.toml:1: server: /)
  })
})
