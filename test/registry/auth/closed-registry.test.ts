import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { parseConfig } from '#registry/index.ts'
import {
  basic,
  type ClosedRegistry,
  htpasswdOf,
  startClosedRegistry,
} from '../../support/closed-registry.ts'

const ALL = ['pull', 'push', 'overwrite', 'delete', 'list']

describe('a registry with repositories of several users', () => {
  let closed: ClosedRegistry
  const rules = [
    { name: 'alice', subjects: ['user:alice'], repositories: ['alice/**'], actions: ALL },
    { name: 'bob', subjects: ['user:bob'], repositories: ['bob/**'], actions: ALL },
    { name: 'shared', subjects: ['users'], repositories: ['shared'], actions: ['pull', 'push'] },
    { name: 'public', subjects: ['anyone'], repositories: ['public/**'], actions: ['pull'] },
    { name: 'alice public', subjects: ['user:alice'], repositories: ['public/**'], actions: ALL },
  ]
  before(async () => {
    closed = await startClosedRegistry({ rules })
  })
  after(() => closed.stop())

  it('answers a mount from one that cannot be read as if the blob were not there', async () => {
    const layer = await closed.as('alice').pushBlob('alice/app', 'secret layer')
    const bob = closed.as('bob')
    const answers = []
    for (const [digest, from] of [
      [layer, 'alice/app'],
      [digestOf('nowhere'), 'alice/app'],
      [layer, 'alice/none'],
      [digestOf('nowhere'), 'bob/app'],
    ]) {
      const path = `/v2/bob/app/blobs/uploads/?mount=${digest}&from=${from}`
      const { status, headers, body } = await bob.send('POST', path)
      const {
        location,
        'docker-upload-uuid': id,
        'x-request-id': request,
        date,
        ...others
      } = headers
      assert.match(location ?? '', /^\/v2\/bob\/app\/blobs\/uploads\/[0-9a-f-]+$/)
      answers.push({ status, others, body: body.toString() })
    }
    for (const answer of answers) assert.deepEqual(answer, answers[0])
    assert.equal(answers[0]?.status, 202)
    await bob.expect(404, 'HEAD', `/v2/bob/app/blobs/${layer}`)
  })

  it('mounts from one that can be read', async () => {
    const layer = await closed.as('alice').pushBlob('public/base', 'base layer')
    const path = `/v2/bob/app/blobs/uploads/?mount=${layer}&from=public/base`
    await closed.as('bob').expect(201, 'POST', path)
  })

  it('mounts from one that can be read, but from no other, when none is named', async () => {
    const secret = await closed.as('alice').pushBlob('alice/app', 'held by one alone')
    const path = '/v2/bob/found/blobs/uploads/?mount='
    await closed.as('bob').expect(202, 'POST', `${path}${secret}`)
    const layer = await closed.as('alice').pushBlob('alice/app', 'held by two')
    await closed.as('alice').pushBlob('public/base', 'held by two')
    await closed.as('bob').expect(201, 'POST', `${path}${layer}`)
  })

  it('keeps the upload of one user from another one in the same repository', async () => {
    const location = await closed.as('alice').startUpload('shared')
    const bob = closed.as('bob')
    const code = 'BLOB_UPLOAD_UNKNOWN'
    await bob.expect(404, 'GET', location, { code })
    await bob.expect(404, 'PATCH', location, { body: 'x', code })
    await bob.expect(404, 'PUT', `${location}?digest=${digestOf('x')}`, { body: 'x', code })
    await bob.expect(404, 'DELETE', location, { code })
    await closed.as('alice').expect(202, 'PATCH', location, { body: 'x' })
    await closed.as('alice').expect(201, 'PUT', `${location}?digest=${digestOf('x')}`)
  })

  it('keeps an upload in the repository where it began', async () => {
    const alice = closed.as('alice')
    const location = await alice.startUpload('alice/a')
    const elsewhere = location.replace('alice/a', 'alice/b')
    await alice.expect(404, 'PATCH', elsewhere, { body: 'x', code: 'BLOB_UPLOAD_UNKNOWN' })
  })

  it('shows no blob of one repository through another one', async () => {
    const layer = await closed.as('alice').pushBlob('alice/app', 'another secret')
    await closed.as('bob').pushImage('bob/app', 'v1', 'x')
    await closed.as('bob').expect(404, 'GET', `/v2/bob/app/blobs/${layer}`)
    await closed.as('bob').expect(403, 'GET', `/v2/alice/app/blobs/${layer}`)
  })

  it('lets anybody pull what is public, and asks them to log in for the rest', async () => {
    await closed.as('alice').pushImage('public/app', 'v1', 'y')
    await closed.as().expect(200, 'GET', '/v2/public/app/manifests/v1')
    await closed.as('bob').expect(200, 'GET', '/v2/public/app/manifests/v1')
    await closed.as().expect(401, 'GET', '/v2/alice/app/manifests/v1', { code: 'UNAUTHORIZED' })
    await closed.as().expect(401, 'DELETE', '/v2/public/app/manifests/v1')
  })

  it('says the same of repositories that exist and that do not, to those who may not know', async () => {
    await closed.as('alice').pushImage('alice/known', 'v1', 'z')
    for (const user of ['bob', undefined]) {
      const answers = await Promise.all(
        ['alice/known', 'alice/other'].map((name) =>
          closed.as(user).send('GET', `/v2/${name}/manifests/v1`),
        ),
      )
      const [known, other] = answers.map(({ status, headers, body }) => {
        const { date, 'content-length': length, 'x-request-id': id, ...rest } = headers
        const text = JSON.stringify([rest, body.toString()])
        return { status, text: text.replace(/alice\/\w+/g, 'NAME') }
      })
      assert.deepEqual(known, other)
    }
  })

  it('refuses credentials that are wrong even where none are needed', async () => {
    await closed.as('alice').pushImage('public/app', 'v1', 'y')
    await closed.as('bob', 'wrong').expect(401, 'GET', '/v2/public/app/manifests/v1')
    for (const authorization of [
      'Basic !!!',
      'Basic',
      'Negotiate abc',
      'Bearer a b',
      'x'.repeat(99),
    ]) {
      const headers = { authorization }
      await closed.as().expect(401, 'GET', '/v2/public/app/manifests/v1', { headers })
    }
  })

  it('slows down who keeps failing, and says for how long', async () => {
    const mallory = closed.as('bob', 'guess')
    for (let i = 0; i < 6; i++) await mallory.send('GET', '/v2/')
    const answer = await mallory.expect(429, 'GET', '/v2/', { code: 'TOOMANYREQUESTS' })
    assert.match(answer.headers['retry-after'] ?? '', /^[1-9][0-9]*$/)
    await closed.as('alice').expect(200, 'GET', '/v2/')
  })

  it('writes one line for each change and for each refusal', async () => {
    const alice = closed.as('alice')
    closed.lines.length = 0
    const { digest, layer } = await alice.pushImage('alice/audited', 'v1', 'audit')
    await alice.expect(202, 'DELETE', '/v2/alice/audited/manifests/v1')
    await closed.as().expect(401, 'GET', '/v2/alice/audited/manifests/v1')
    await closed.as().expect(401, 'GET', '/v2/')
    await alice.expect(403, 'PUT', '/v2/bob/x/manifests/v1')
    await closed.as('carol', 'x').expect(401, 'GET', '/v2/alice/audited/manifests/v1')
    const lines = closed.lines
      .filter(({ audit }) => audit !== undefined)
      .map(({ audit, who, action, repository, reference, code }) => {
        return [audit, who, action, repository, reference, code]
      })
    assert.deepEqual(lines, [
      ['change', 'alice', 'push', 'alice/audited', undefined, undefined],
      ['change', 'alice', 'push', 'alice/audited', undefined, undefined],
      ['change', 'alice', 'push', 'alice/audited', 'v1', undefined],
      ['change', 'alice', 'delete', 'alice/audited', 'v1', undefined],
      ['refused', 'anonymous', 'pull', 'alice/audited', 'v1', 'UNAUTHORIZED'],
      ['refused', 'alice', 'push', 'bob/x', 'v1', 'DENIED'],
      ['refused', 'anonymous', 'pull', 'alice/audited', 'v1', 'UNAUTHORIZED'],
    ])
    const changes = closed.lines.filter(({ audit }) => audit === 'change')
    assert.deepEqual(
      changes.slice(0, 3).map(({ digest }) => digest),
      [layer, digestOf('config audit'), digest],
    )
    assert.ok(changes.every(({ from }) => from === '127.0.0.1' || from === '::ffff:127.0.0.1'))
  })

  it('writes no password to its log', async () => {
    await closed.as('alice').expect(200, 'GET', '/v2/')
    await closed.as('alice', 'almost-right').send('GET', '/v2/?password=in-query')
    await closed.as('oops-my-password', 'x').send('GET', '/v2/')
    const text = JSON.stringify(closed.lines)
    for (const secret of ['alice-secret', 'bob-secret', 'almost-right', 'in-query', 'oops-my']) {
      assert.ok(!text.includes(secret), secret)
    }
    assert.ok(!text.includes(basic('alice', 'alice-secret')))
  })
})

describe('a registry whose configuration changes', () => {
  it('takes other rules at once, and keeps the old ones when the new are broken', async () => {
    const ruleFor = (user: string) => ({
      ...{ name: user, subjects: [`user:${user}`], repositories: ['**'], actions: ALL },
    })
    const closed = await startClosedRegistry({ rules: [ruleFor('alice')] })
    const { htpasswd } = closed
    const configOf = (auth: object) =>
      parseConfig({ env: {}, flags: { listen: '127.0.0.1:0', auth } as never })
    await closed.as('bob').expect(403, 'GET', '/v2/x/tags/list')
    closed.registry.reload(configOf({ htpasswd, rules: [ruleFor('bob')] }))
    await closed.as('bob').expect(404, 'GET', '/v2/x/tags/list')
    await closed.as('alice').expect(403, 'GET', '/v2/x/tags/list')
    assert.throws(
      () => closed.registry.reload(configOf({ htpasswd: '/nowhere', rules: [ruleFor('alice')] })),
      { code: 'CONFIG_INVALID' },
    )
    await closed.as('bob').expect(404, 'GET', '/v2/x/tags/list')
    await closed.stop()
  })

  it('lets a user in whose password was changed, and no longer by the old one', async () => {
    const closed = await startClosedRegistry({ rules: [] })
    await closed.as('alice').expect(200, 'GET', '/v2/')
    writeFileSync(closed.htpasswd, htpasswdOf({ alice: 'another' }))
    closed.registry.reload(
      parseConfig({ env: {}, flags: { auth: { htpasswd: closed.htpasswd } } as never }),
    )
    await closed.as('alice').expect(401, 'GET', '/v2/')
    await closed.as('alice', 'another').expect(200, 'GET', '/v2/')
    await closed.stop()
  })
})
