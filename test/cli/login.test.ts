import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it, type TestContext } from 'node:test'
import { type ClosedRegistry, startClosedRegistry } from '../support/closed-registry.ts'
import { dray, LAUNCHER, type Outcome } from '../support/dray.ts'
import { tempDir } from '../support/temp-dir.ts'

let closed: ClosedRegistry
let host: string
before(async () => {
  closed = await startClosedRegistry({
    rules: [
      { name: 'all', subjects: ['user:alice'], repositories: ['**'], actions: ['pull', 'push'] },
    ],
  })
  host = `127.0.0.1:${closed.registry.port}`
})
after(() => closed.stop())

function home(t: TestContext) {
  const dir = tempDir(t)
  return {
    config: join(dir, '.docker/config.json'),
    env: {
      HOME: dir,
      DOCKER_CONFIG: '',
      REGISTRY_AUTH_FILE: '',
      XDG_RUNTIME_DIR: '',
      XDG_CONFIG_HOME: '',
    },
  }
}

/** `dray` with something on standard input. */
async function typed(args: readonly string[], input: string, env: object): Promise<Outcome> {
  const child = spawn(LAUNCHER, [...args], { env: { ...process.env, ...env } })
  child.stdin.end(input)
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number>((resolve) => child.on('close', (exit) => resolve(exit ?? -1))),
  ])
  return { stdout, stderr, code }
}

describe('dray login', () => {
  it('takes the password from standard input, keeps what the registry took, and forgets it', async (t) => {
    const { config, env } = home(t)
    const args = ['login', '-u', 'alice', '--password-stdin', host]
    const taken = await typed(args, 'alice-secret\n', env)
    assert.equal(taken.code, 0, taken.stderr)
    assert.match(taken.stdout, new RegExp(`logged in to ${host} as alice`))
    assert.ok(JSON.parse(readFileSync(config, 'utf8')).auths[host])
    const pull = await dray(['pull', '--root', tempDir(t), `${host}/none`], { env })
    assert.match(pull.stderr, /has no none/, 'it was let in')
    const out = await dray(['logout', host], { env })
    assert.match(out.stdout, /logged out of/)
    assert.deepEqual(JSON.parse(readFileSync(config, 'utf8')), { auths: {} })
    const refused = await dray(['pull', '--root', tempDir(t), `${host}/none`], { env })
    assert.match(refused.stderr, /401.*dray login/)
    assert.match((await dray(['logout', host], { env })).stdout, /not logged in/)
  })

  it('tells who is logged in, and forgets all registries at once', async (t) => {
    const { config, env } = home(t)
    const asked = () => dray(['login', '--get-login', host], { env })
    assert.equal((await asked()).code, 1)
    await typed(['login', '-u', 'alice', '--password-stdin', host], 'alice-secret\n', env)
    assert.equal((await asked()).stdout, '<token>\n')
    const { auths } = JSON.parse(readFileSync(config, 'utf8'))
    const more = { ...auths, 'r.example/team': { auth: 'YTpi' } }
    writeFileSync(config, JSON.stringify({ auths: more, other: 1 }))
    const { stdout } = await dray(['logout', '--all'], { env })
    assert.match(stdout, new RegExp(`out of ${host} .*\\n.*out of r\\.example/team `))
    assert.deepEqual(JSON.parse(readFileSync(config, 'utf8')), { auths: {}, other: 1 })
    assert.match((await dray(['logout', '-a'], { env })).stdout, /^not logged in to any registry$/m)
  })

  it('keeps nothing that the registry refuses', async (t) => {
    const { config, env } = home(t)
    const args = ['login', '-u', 'alice', '--password-stdin', host]
    const refused = await typed(args, 'hunter2', env)
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /refuses this user name and password/)
    assert.doesNotMatch(refused.stderr + refused.stdout, /hunter2/)
    assert.equal(existsSync(config), false)
  })

  const WRONG = [
    { args: ['--password-stdin'], says: /needs --username/ },
    { args: ['-u', 'a', '-p', 'b', '--password-stdin'], says: /exclude each other/ },
    { args: ['-u', 'a'], says: /standard input is no terminal/ },
    { args: ['-u', 'a:b', '-p', 'c'], says: /no colon/ },
    { args: ['-u', 'a', '--password-stdin'], says: /must not be empty/ },
  ]
  for (const { args, says } of WRONG) {
    it(`says what is wrong with ${args.join(' ')}`, async (t) => {
      const outcome = await typed(['login', ...args, host], '', home(t).env)
      assert.equal(outcome.code, 1)
      assert.match(outcome.stderr, says)
    })
  }

  it('says where it cannot keep them', async (t) => {
    const args = ['login', '-u', 'alice', '--password-stdin', '--authfile', '/proc/x/y', host]
    const outcome = await typed(args, 'alice-secret\n', home(t).env)
    assert.equal(outcome.code, 1)
    assert.match(outcome.stderr, /^dray: cannot write \/proc\/x\/y: /)
  })

  it('wants the name of a registry', async (t) => {
    const outcome = await typed(['login', '-u', 'a', '-p', 'b', 'r.example/team'], '', home(t).env)
    assert.match(outcome.stderr, /host\[:port\]/)
  })
})

describe('the credentials of a command line', () => {
  it('take the place of those of the files', async (t) => {
    const args = ['pull', '--root', tempDir(t), `${host}/none`]
    const right = await dray([...args, '--creds', 'alice:alice-secret'], { env: home(t).env })
    assert.match(right.stderr, /has no none/)
    const wrong = await dray([...args, '--creds', 'alice:wrong'], { env: home(t).env })
    assert.match(wrong.stderr, /401/)
  })

  it('may be in the environment, as docker and GitLab have them, unless a file is named', async (t) => {
    const auth = Buffer.from('alice:alice-secret').toString('base64')
    const DOCKER_AUTH_CONFIG = JSON.stringify({ auths: { [host]: { auth } } })
    const env = { ...home(t).env, DOCKER_AUTH_CONFIG }
    const args = ['remote', 'digest', `${host}/none`]
    assert.match((await dray(args, { env })).stderr, /has no none/)
    assert.match((await dray([...args, '--authfile', '/dev/null'], { env })).stderr, /401/)
    assert.equal((await dray(['login', '--get-login', host], { env })).stdout, 'alice\n')
    const damaged = { ...env, DOCKER_AUTH_CONFIG: 'alice-secret' }
    const { stderr } = await dray(args, { env: damaged })
    assert.match(
      stderr,
      /^dray: cannot use the credentials in DOCKER_AUTH_CONFIG: the file is not JSON$/m,
    )
  })

  it('are given in one way', async (t) => {
    const args = ['pull', '--creds', 'a:b', '--identity-token', 'c', `${host}/x`]
    const outcome = await dray(args, { env: home(t).env })
    assert.match(outcome.stderr, /give one/)
  })
})
