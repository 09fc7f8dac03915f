import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { decodeProtectedHeader } from 'jose'
import { digestOf } from '#oci/digest.ts'
import { parseRules } from '#registry/auth/rules.ts'
import { createTokenIssuer } from '#registry/auth/tokens/issuer.ts'
import { parseScopes } from '#registry/auth/tokens/scopes.ts'
import { createStoredKeys } from '#registry/auth/tokens/stored-keys.ts'
import type { Storage } from '#registry/index.ts'
import { basic, type ClosedRegistry, startClosedRegistry } from '../../support/closed-registry.ts'
import { createRegistryClient, imageManifest, type RegistryClient } from './fixture.ts'

/** An empty storage, which each replica opens for itself. */
export interface SharedStorage {
  open(): Promise<Storage>
  remove(): Promise<void>
}

const DAY_MS = 24 * 3_600_000
const USERS = { alice: 'alice-secret', bob: 'bob-secret' }
const ALL = ['pull', 'push', 'overwrite', 'delete', 'list']
const RULES = [
  { name: 'alice', subjects: ['user:alice'], repositories: ['alice/**'], actions: ALL },
  { name: 'bob', subjects: ['user:bob'], repositories: ['bob/**'], actions: ALL },
  { name: 'shared', subjects: ['users'], repositories: ['shared'], actions: ['pull', 'push'] },
]
const QUOTA = 1000
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
/** As the configuration has it, unless it says so. */
const KEYS = { algorithm: 'EdDSA', rotateMs: 30 * DAY_MS, keepMs: 30 * DAY_MS } as const

/** Registers the tests of two replicas of one storage that ask who is there; each request goes to the next one. */
export function testClosedReplicas(name: string, make: () => Promise<SharedStorage>): void {
  describe(`${name}, which ask who is there,`, () => {
    let shared: SharedStorage
    let replicas: ClosedRegistry[]
    let urls: string[]
    let old: string
    before(async () => {
      shared = await make()
      old = await tokenOfOldKey(await shared.open())
      const options = { users: USERS, rules: RULES, config: { limits: { repositoryBytes: QUOTA } } }
      const first = await startClosedRegistry({ ...options, storage: await shared.open() })
      const auth = { htpasswd: first.htpasswd }
      const second = await startClosedRegistry({ ...options, auth, storage: await shared.open() })
      replicas = [first, second]
      urls = replicas.map(({ registry }) => registry.url)
    })
    after(async () => {
      for (const replica of replicas) await replica.stop()
      await shared.remove()
    })

    const as = (user: keyof typeof USERS, at = urls) =>
      createRegistryClient(at, { authorization: basic(user, USERS[user]) })
    const bearing = (token: string) =>
      createRegistryClient(urls, { authorization: `Bearer ${token}` })
    const tokens = async (client: RegistryClient, query: string) => {
      const { body } = await client.expect(200, 'GET', `/token?${query}`)
      return JSON.parse(String(body)) as { token: string; refresh_token?: string }
    }
    const onEach = async (
      work: (client: RegistryClient) => Promise<unknown>,
      client: RegistryClient,
    ) => {
      for (const _ of urls) await work(client)
    }

    it('sign with one key, though both need it at once, and take the tokens of each other', async () => {
      const query = 'scope=repository:alice/app:pull,push&offline_token=true'
      const issued = await Promise.all(urls.map((url) => tokens(as('alice', [url]), query)))
      const kids = issued.map(({ token }) => decodeProtectedHeader(token).kid)
      assert.equal(new Set(kids).size, 1)
      for (const { token, refresh_token = '' } of issued) {
        await onEach(
          (client) => client.expect(404, 'GET', '/v2/alice/app/tags/list'),
          bearing(token),
        )
        const form = { grant_type: 'refresh_token', refresh_token }
        const body = new URLSearchParams(form).toString()
        const post = (client: RegistryClient) =>
          client.expect(200, 'POST', '/token', { headers: FORM, body })
        await onEach(post, createRegistryClient(urls))
      }
      await bearing(issued[0]?.token ?? '').pushImage('alice/app', 'v1', 'by both')
    })

    it('take tokens that were signed before the key was another one, and sign with that one', async () => {
      await onEach((client) => client.expect(404, 'GET', '/v2/alice/old/tags/list'), bearing(old))
      const { token } = await tokens(as('alice'), '')
      const used = [old, token].map((each) => decodeProtectedHeader(each).kid)
      assert.notEqual(used[0], used[1])
      await onEach(async (client) => {
        const { body } = await client.expect(200, 'GET', '/.well-known/jwks.json')
        const kids = JSON.parse(String(body)).keys.map(({ kid }: { kid: string }) => kid)
        for (const kid of used) assert.ok(kids.includes(kid))
      }, createRegistryClient(urls))
    })

    it('keep the upload of one user from another one, on every replica', async () => {
      const location = await as('alice').startUpload('shared')
      const code = 'BLOB_UPLOAD_UNKNOWN'
      const digest = digestOf('one two')
      await as('alice').expect(202, 'PATCH', location, { body: 'one ' })
      await onEach(async (bob) => {
        await bob.expect(404, 'GET', location, { code })
        await bob.expect(404, 'PATCH', location, { body: 'x', code })
        await bob.expect(404, 'PUT', `${location}?digest=${digest}`, { body: 'two', code })
        await bob.expect(404, 'DELETE', location, { code })
      }, as('bob'))
      // Once more, each on the other replica.
      await as('bob', urls.toReversed()).expect(404, 'PATCH', location, { body: 'x', code })
      const elsewhere = location.replace('/shared/', '/alice/app/')
      await onEach((alice) => alice.expect(404, 'GET', elsewhere, { code }), as('alice'))
      await as('alice', urls.toReversed()).expect(202, 'PATCH', location, { body: 'two' })
      await as('alice').expect(201, 'PUT', `${location}?digest=${digest}`)
      const { body } = await as('bob').expect(200, 'GET', `/v2/shared/blobs/${digest}`)
      assert.equal(String(body), 'one two')
    })

    it('answer a mount from a repository that cannot be read as if the blob were not there', async () => {
      const layer = await as('alice').pushBlob('alice/app', 'secret layer')
      const answers = []
      for (const query of [
        `mount=${digestOf('nowhere')}&from=bob/app`,
        `mount=${layer}&from=alice/app`,
        `mount=${layer}&from=alice/app`,
        `mount=${layer}`,
        `mount=${layer}`,
      ]) {
        const answer = await as('bob').expect(202, 'POST', `/v2/bob/app/blobs/uploads/?${query}`)
        const names = Object.keys(answer.headers).sort()
        answers.push({ names, body: answer.body.toString() })
        await as('bob').expect(404, 'HEAD', `/v2/bob/app/blobs/${layer}`)
        await as('bob').expect(204, 'DELETE', answer.headers.location ?? '')
      }
      for (const answer of answers) assert.deepEqual(answer, answers[0])
      await as('alice').expect(201, 'POST', `/v2/shared/blobs/uploads/?mount=${layer}`)
      await as('bob').expect(201, 'POST', `/v2/bob/app/blobs/uploads/?mount=${layer}&from=shared`)
    })

    it('let one of many create a tag who may not overwrite, whichever replica they ask', async () => {
      const { layer } = await as('alice').pushImage('shared', undefined, 'race')
      assert.ok(layer)
      const put = (n: number) => {
        const annotations = { number: String(n) }
        const body = JSON.stringify({ ...imageManifest('race'), annotations })
        const tag = n % 2 === 0 ? 'latest' : `${digestOf(body)}?tag=latest`
        return as('alice', [urls[(n >> 1) % 2] ?? '']).send('PUT', `/v2/shared/manifests/${tag}`, {
          body,
        })
      }
      const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => put(n)))
      assert.deepEqual(answers.map(({ status }) => status).sort(), [201, ...Array(7).fill(403)])
      assert.equal((await put(9)).status, 403)
    })

    it('keep a repository to its bytes, also by what came through the other replica', async () => {
      const [one = '', other = ''] = urls
      const small = await as('bob', [one]).pushBlob('bob/full', 'a'.repeat(600))
      const body = 'b'.repeat(600)
      const digest = await as('bob', [one]).pushBlob('bob/source', body)
      const code = 'DENIED'
      const bob = as('bob', [other])
      await bob.expect(403, 'POST', `/v2/bob/full/blobs/uploads/?digest=${digest}`, { body, code })
      const location = await bob.startUpload('bob/full')
      await bob.expect(403, 'PUT', `${location}?digest=${digest}`, { body, code })
      const mount = `/v2/bob/full/blobs/uploads/?mount=${digest}&from=bob/source`
      await bob.expect(403, 'POST', mount, { code })
      await onEach((each) => each.expect(404, 'HEAD', `/v2/bob/full/blobs/${digest}`), as('bob'))
      await bob.expect(202, 'DELETE', `/v2/bob/full/blobs/${small}`)
      await bob.expect(201, 'POST', mount)
    })
  })
}

/** A token that was signed when the keys of now weren't there yet. */
async function tokenOfOldKey({ content, records }: Storage): Promise<string> {
  const keys = createStoredKeys(records, { ...KEYS, now: () => Date.now() - KEYS.rotateMs })
  const terms = { issuer: 'dray', service: 'dray', lifetimeMs: DAY_MS, refreshLifetimeMs: DAY_MS }
  const issuer = createTokenIssuer(keys, terms, parseRules([]))
  const grants = parseScopes(['repository:alice/old:pull'])
  const { token } = await issuer.access({ name: 'alice', groups: [] }, grants)
  await content.close()
  await records.close()
  return token
}
