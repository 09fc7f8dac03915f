import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { createRegistryClient, type RegistryClient } from '../../contract/registry/fixture.ts'
import { basic, htpasswdOf } from '../../support/closed-registry.ts'
import { dray, startDray } from '../../support/dray.ts'
import { type Answer, createSender, type RequestOptions } from '../../support/http.ts'
import { startOidcIssuer } from '../../support/oidc-issuer.ts'
import { tempDir } from '../../support/temp-dir.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const USERS = { alice: 'the-password', admin: 'admins-password' }
const RULES = [
  { name: 'a', subjects: ['users'], repositories: ['a'], actions: ['pull', 'push', 'list'] },
  { name: 'admin', subjects: ['user:admin'], repositories: ['**'], actions: ['delete'] },
]
/** What people type, send or write in the wrong place. */
const TYPED = ['wrong-password', 'password-as-name', 'query-secret', 'plain-password', 'in-config']
/** An issuer that nobody can ask for its keys. */
const SILENT = { name: 'silent', issuer: 'http://127.0.0.1:1', audience: 'registry' }

interface Talkative {
  readonly url: string
  readonly metrics: string
  readonly dataDir: string
  readonly htpasswd: string
  readonly config: string
  /** All of the configuration. */
  readonly settings: Readonly<Record<string, unknown>>
  /** Everything on its standard output and standard error so far. */
  written(): string
  /** Waits until it has written something. */
  writes(pattern: RegExp): Promise<string>
  signal(name: 'SIGHUP' | 'SIGTERM'): void
  readonly exited: Promise<unknown>
}

/** A process of `dray serve` that logs as much as it can. */
async function startTalkative(t: TestContext, issuers: readonly object[]): Promise<Talkative> {
  const dir = tempDir(t)
  const [htpasswd, config, dataDir] = ['htpasswd', 'config.json', 'data'].map((name) =>
    join(dir, name),
  ) as [string, string, string]
  writeFileSync(htpasswd, htpasswdOf(USERS))
  const settings = {
    ...{ listen: '127.0.0.1:0', dataDir, workers: 1, logLevel: 'debug' },
    ...{ metrics: { listen: '127.0.0.1:0' }, auth: { htpasswd, rules: RULES, issuers } },
  }
  writeFileSync(config, JSON.stringify(settings))
  const child = startDray(['serve', '--config', config])
  t.after(() => child.kill('SIGKILL'))
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      child.emit('wrote')
    })
  }
  const writes = async (pattern: RegExp) => {
    for (;;) {
      const found = pattern.exec(text)
      if (found !== null) return found[1] ?? ''
      await once(child, 'wrote')
    }
  }
  return {
    ...{ dataDir, htpasswd, config, settings, writes },
    written: () => text,
    url: await writes(/listening on (http:[^\s,]+)/),
    metrics: await writes(/"url":"(http:[^"]+\/metrics)"/),
    signal: (name) => void child.kill(name),
    exited: once(child, 'exit'),
  }
}

/** A client of a registry that keeps all that it is answered but the tokens that it asked for. */
function listener(url: string) {
  const heard: string[] = []
  const send = createSender([url])
  const keep = (path: string, answer: Answer) => {
    const isIssued = path.startsWith('/token') && answer.status === 200
    if (!isIssued) heard.push(JSON.stringify([answer.status, answer.headers, String(answer.body)]))
    return answer
  }
  const ask = async (method: string, path: string, options: RequestOptions = {}) =>
    keep(path, await send(method, path, options))
  const post = (form: Record<string, string>) =>
    ask('POST', '/token', { headers: FORM, body: new URLSearchParams(form).toString() })
  return { heard, ask, post }
}

type Outputs = Readonly<Record<'the log' | 'answers' | 'metrics' | 'what explains rules', string>>
type Listener = ReturnType<typeof listener>

const RIGHT = { authorization: basic('alice', USERS.alice) }
const tokensOf = ({ body }: Answer): { token: string; refresh_token: string } =>
  JSON.parse(String(body))

/** Log-ins with right and wrong passwords and with tokens of every kind, good, bad and in the wrong place. */
async function logIn({ ask, post }: Listener, workload: string, unverifiable: string) {
  const query = 'scope=repository:a:pull,push&offline_token=true'
  const { token, refresh_token: refresh } = tokensOf(
    await ask('GET', `/token?${query}`, { headers: RIGHT }),
  )
  const password = { grant_type: 'password', username: 'alice', access_type: 'offline' }
  const posted = tokensOf(await post({ ...password, password: USERS.alice }))
  const refreshed = tokensOf(await post({ grant_type: 'refresh_token', refresh_token: refresh }))
  const exchange = { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange' }
  const exchanged = tokensOf(await post({ ...exchange, subject_token: workload }))
  for (const authorization of [
    ...[token, refresh, workload, unverifiable].map((each) => `Bearer ${each}`),
    ...[token, refresh, workload].map((each) => `Bearer ${each}x`),
    ...[`Basic ${token}`, basic(refresh, ''), basic('alice', token), basic('ci', unverifiable)],
    ...[basic('alice', 'wrong-password'), basic('password-as-name', 'wrong-password')],
  ]) {
    for (const path of ['/v2/', '/token?scope=repository:a:pull', '/v2/b/tags/list']) {
      await ask('GET', path, { headers: { authorization } })
    }
  }
  for (const form of [
    { ...password, password: 'wrong-password' },
    { ...password, username: 'password-as-name', password: USERS.alice, grant_type: 'wrong' },
    { grant_type: 'refresh_token', refresh_token: token },
    { grant_type: 'refresh_token', refresh_token: `${refresh}x` },
    { ...exchange, subject_token: `${workload}x` },
    { ...exchange, subject_token: unverifiable },
  ]) {
    await post(form)
  }
  const issued = [token, refresh, posted.token, posted.refresh_token, refreshed.token]
  return { token, issued: [...issued, exchanged.token] }
}

/** Pushes, pulls and deletions that are let through, are refused, and are wrong in other ways. */
async function use({ ask }: Listener, client: RegistryClient, token: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}` }
  const { digest, layer } = await client.pushImage('a', 'v1', 'x')
  await client.pushImage('a', 'v2', 'x')
  const { headers: page } = await ask('GET', '/v2/a/tags/list?n=1&token=query-secret', { headers })
  assert.match(String(page.link), /n=1/)
  const body = 'x'
  for (const [method, path] of [
    ['GET', '/v2/a/manifests/v1?token=query-secret'],
    ['GET', '/v2/_catalog'],
    ['GET', '/v2/b/manifests/v1'],
    ['PUT', '/v2/b/manifests/v1'],
    ['PUT', '/v2/a/manifests/v1'],
    ['DELETE', '/v2/a/manifests/v1'],
    ['DELETE', `/v2/a/blobs/${layer}`],
    ['POST', `/v2/b/blobs/uploads/?mount=${layer}&from=a`],
    ['POST', `/v2/a/blobs/uploads/?digest=${digest}`],
    ['PATCH', '/v2/a/blobs/uploads/none?_state=query-secret'],
    ['GET', '/v2/a/manifests/sha256:x?token=query-secret'],
    ['GET', '/v2/a/tags/list?n=query-secret'],
    ['GET', '/token?service=x'],
    ['POST', '/token?password=query-secret'],
    ['GET', '/nowhere?token=query-secret'],
    ['PUT', '/v2/a/tags/list?token=query-secret'],
    ['POST', '/v2/a/blobs/uploads/?digest-algorithm=sha512&token=query-secret'],
  ] as const) {
    for (const shown of [headers, RIGHT, {}]) {
      await ask(method, path, { headers: shown, ...(method === 'GET' ? {} : { body }) })
    }
  }
  const admin = { authorization: basic('admin', USERS.admin) }
  await client.expect(202, 'DELETE', '/v2/a/manifests/v2', { headers: admin })
}

/** Failures of the storage, files that can't be used, and passwords that are guessed. */
async function fail({ ask }: Listener, registry: Talkative): Promise<void> {
  const { dataDir, htpasswd, config, settings } = registry
  for (const name of ['uploads', 'blobs']) {
    rmSync(join(dataDir, name), { recursive: true })
    writeFileSync(join(dataDir, name), 'no directory')
  }
  const { status } = await ask('POST', '/v2/a/blobs/uploads/', { headers: RIGHT })
  assert.ok(status >= 500)
  writeFileSync(config, JSON.stringify({ ...settings, password: 'in-config' }))
  registry.signal('SIGHUP')
  await registry.writes(/(the rules stay as they were: .*password)/)
  writeFileSync(config, JSON.stringify(settings))
  writeFileSync(htpasswd, `${htpasswdOf(USERS)}carol:plain-password\n`)
  registry.signal('SIGHUP')
  await registry.writes(/(the rules stay as they were: .*line 3)/)
  const guess = { authorization: basic('password-as-name', 'wrong-password') }
  for (let n = 0; n < 6; n++) await ask('GET', '/v2/', { headers: guess })
}

describe('whatever a registry writes and answers', () => {
  it('holds no password and no token, at its most talkative', async (t) => {
    const platform = await startOidcIssuer()
    t.after(() => platform.stop())
    const issuers = [{ name: 'ci', issuer: platform.url, audience: 'registry' }, SILENT]
    const registry = await startTalkative(t, issuers)
    const hashes = readFileSync(registry.htpasswd, 'utf8').match(/\$2.+/g) ?? []
    const client = listener(registry.url)
    const workload = await platform.token({ secret: 'a claim' })
    const unverifiable = await platform.token({ iss: SILENT.issuer })
    const { token, issued } = await logIn(client, workload, unverifiable)
    const bearing = createRegistryClient([registry.url], { authorization: `Bearer ${token}` })
    await use(client, bearing, token)
    const metrics = await createSender([registry.metrics])('GET', '/metrics')
    const asked = await Promise.all(
      ['pull', 'delete'].map((action) =>
        dray(['registry', 'can', 'alice', action, 'a', '--config', registry.config]),
      ),
    )
    await fail(client, registry)
    registry.signal('SIGTERM')
    await registry.exited

    const outputs: Outputs = {
      'the log': registry.written(),
      answers: client.heard.join('\n'),
      metrics: String(metrics.body),
      'what explains rules': asked.map(({ stdout, stderr }) => stdout + stderr).join(''),
    }
    assertTold(outputs)
    const secrets = [...Object.values(USERS), ...TYPED, ...hashes, RIGHT.authorization]
    for (const jwt of [...issued, workload, unverifiable]) secrets.push(...jwt.split('.').slice(1))
    for (const [where, text] of Object.entries(outputs)) {
      for (const secret of secrets) {
        assert.ok(!text.includes(secret.replace('Basic ', '')), `${secret} is in ${where}`)
      }
    }
  })
})

/** Asserts that there was something to be found in: every kind of line, of answer and of count. */
function assertTold(outputs: Outputs): void {
  const told: readonly [keyof Outputs, RegExp][] = [
    ['the log', /"audit":"refused"/],
    ['the log', /"audit":"change"/],
    ['the log', /"tried":"alice"/],
    ['the log', /"route":"token"/],
    ['the log', /"level":50.*ENOTDIR/],
    ['answers', /"www-authenticate":"Bearer realm=.*invalid_token/],
    ['answers', /"www-authenticate":"Basic /],
    ...[200, 202, 400, 401, 403, 404, 405, 429, 503].map(
      (status) => ['answers', new RegExp(`^\\[${status},`, 'm')] as [keyof Outputs, RegExp],
    ),
    ['metrics', /dray_refused_total\{reason="credentials"\} [1-9]/],
    ['what explains rules', /^yes: .*\nno: /],
  ]
  for (const [where, pattern] of told)
    assert.ok(pattern.test(outputs[where]), `${pattern} in ${where}`)
}
