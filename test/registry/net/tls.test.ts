import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type RequestOptions, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { connect, type SecureVersion, type TLSSocket } from 'node:tls'
import { parseAltNames } from '#registry/auth/certificate.ts'
import { parseConfig } from '#registry/index.ts'
import { createCertificate } from '../../support/certificates.ts'
import { type ClosedRegistry, startClosedRegistry } from '../../support/closed-registry.ts'

const ca = createCertificate('test ca')
const other = createCertificate('another ca')
const server = { dns: ['localhost'], ip: ['127.0.0.1'], ca }

describe('a registry that speaks TLS', () => {
  const dir = mkdtempSync(join(tmpdir(), 'dray-tls-'))
  const path = (name: string) => join(dir, name)
  const tls = { cert: path('cert.pem'), key: path('key.pem'), clientCa: path('ca.pem') }
  const write = (name: string, days?: number) => {
    const { cert, key } = createCertificate(name, { ...server, ...(days && { days }) })
    writeFileSync(tls.cert, cert)
    writeFileSync(tls.key, key)
  }
  let closed: ClosedRegistry
  const rules = [
    {
      name: 'by name',
      subjects: ['user:cert:uri:spiffe://cluster/ns/prod/*'],
      repositories: ['prod/**'],
      actions: ['pull', 'push'],
    },
    {
      name: 'by any name',
      subjects: [{ issuer: 'cert', claims: { dns: '*.ci.example' } }],
      repositories: ['ci/**'],
      actions: ['pull'],
    },
  ]
  before(async () => {
    write('first')
    writeFileSync(tls.clientCa, ca.cert)
    closed = await startClosedRegistry({ rules, config: { tls } })
  })
  after(async () => {
    await closed.stop()
    rmSync(dir, { recursive: true })
  })

  const get = (target: string, options: RequestOptions = {}): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const { port } = closed.registry
      const about = { host: '127.0.0.1', port, path: target, ca: ca.cert, agent: false as const }
      request({ ...about, ...options }, (answer) => {
        answer.resume()
        resolve(answer.statusCode)
      })
        .on('error', reject)
        .end()
    })
  const dial = (options: object): Promise<TLSSocket> =>
    new Promise((resolve, reject) => {
      const about = { host: '127.0.0.1', port: closed.registry.port, ca: ca.cert }
      const socket = connect({ ...about, ...options }, () => resolve(socket))
      socket.on('error', reject)
    })

  it('says so in its address, and in that of its tokens', async () => {
    assert.match(closed.registry.url, /^https:/)
    assert.equal(await get('/v2/'), 401)
  })

  it('refuses versions and ciphers that are known to be weak', async () => {
    for (const maxVersion of ['TLSv1', 'TLSv1.1'] as SecureVersion[]) {
      await assert.rejects(dial({ minVersion: 'TLSv1', maxVersion, ciphers: 'ALL@SECLEVEL=0' }))
    }
    const old = { maxVersion: 'TLSv1.2' }
    for (const ciphers of ['AES256-GCM-SHA384', 'ECDHE-RSA-AES128-SHA', 'AES128-SHA']) {
      await assert.rejects(dial({ ...old, ciphers }), ciphers)
    }
    const modern = await dial(old)
    assert.equal(modern.getProtocol(), 'TLSv1.2')
    modern.destroy()
    const newest = await dial({})
    assert.equal(newest.getProtocol(), 'TLSv1.3')
    newest.destroy()
  })

  it('shows a new certificate once its files have changed, and no broken one', async () => {
    const shown = async () => {
      const socket = await dial({})
      const { subject } = socket.getPeerCertificate()
      socket.destroy()
      return subject.CN
    }
    const { auth } = parseConfig({
      env: {},
      flags: { auth: { htpasswd: closed.htpasswd, rules } } as never,
    })
    const reload = () => closed.registry.reload({ auth } as never)
    assert.equal(await shown(), 'first')
    write('second')
    reload()
    assert.equal(await shown(), 'second')
    writeFileSync(tls.cert, 'broken')
    reload()
    assert.equal(await shown(), 'second')
    const { err } = closed.lines.at(-2) as { err: Error }
    assert.match(err.message, /cert\.pem as tls\.cert: it holds no certificate in PEM/)
    writeFileSync(tls.cert, createCertificate('third', server).cert)
    reload()
    assert.equal(await shown(), 'second', 'its key is another one')
    write('fourth')
    reload()
    assert.equal(await shown(), 'fourth')
    const warned = () => closed.lines.filter(({ validTo }) => validTo !== undefined).length
    assert.equal(warned(), 0)
    write('fifth', -0.5)
    reload()
    reload()
    assert.equal(warned(), 1)
    write('sixth')
    reload()
    assert.equal(warned(), 1)
  })

  it('knows clients by the alternative names of their certificates', async () => {
    const pod = createCertificate('x', { uri: ['spiffe://cluster/ns/prod/app'], ca })
    assert.equal(await get('/v2/', pod), 200)
    assert.equal(await get('/v2/prod/app/tags/list', pod), 404)
    assert.equal(await get('/v2/ci/app/tags/list', pod), 403)
    const job = createCertificate('x', { email: ['a@b'], dns: ['b.example', 'Job.CI.example'], ca })
    assert.equal(await get('/v2/ci/app/tags/list', job), 404)
    assert.equal(await get('/v2/prod/app/tags/list', job), 403)
  })

  it('takes nobody for who they say without a certificate of its CA', async () => {
    const uri = ['spiffe://cluster/ns/prod/app']
    assert.equal(await get('/v2/prod/app/tags/list'), 401)
    for (const certificate of [
      createCertificate('x', { uri, ca: other }),
      createCertificate('x', { uri }),
      createCertificate('x', { uri, ca, days: -0.5 }),
      createCertificate('spiffe://cluster/ns/prod/app', { ip: ['10.0.0.1'], ca }),
    ]) {
      assert.equal(await get('/v2/prod/app/tags/list', certificate), 401)
    }
  })

  it('takes a password that is wrong for an error, whatever the certificate', async () => {
    const pod = createCertificate('x', { uri: ['spiffe://cluster/ns/prod/app'], ca })
    const headers = { authorization: `Basic ${Buffer.from('alice:no').toString('base64')}` }
    assert.equal(await get('/v2/prod/app/tags/list', { ...pod, headers }), 401)
  })

  it('asks everybody for a certificate if it is told to', async () => {
    const strict = await startClosedRegistry({
      ...{ rules, config: { tls: { ...tls, requireClientCert: true } } },
    })
    const { port } = strict.registry
    await assert.rejects(get('/v2/', { port }))
    const pod = createCertificate('x', { dns: ['a.ci.example'], ca })
    assert.equal(await get('/v2/', { port, ...pod }), 200)
    await strict.stop()
  })

  it('does not start without a certificate that fits its key', async () => {
    const key = path('other-key.pem')
    writeFileSync(key, other.key)
    for (const wrong of [
      { ...tls, key },
      { ...tls, cert: '/nowhere' },
      { ...tls, clientCa: key },
    ]) {
      await assert.rejects(startClosedRegistry({ rules, config: { tls: wrong } }), {
        code: 'CONFIG_INVALID',
      })
    }
  })
})

describe('the names of a certificate', () => {
  it('count by their kind', () => {
    assert.deepEqual(
      parseAltNames('email:a@b, DNS:A.example, IP Address:10.0.0.1, URI:spiffe://x/y, DNS:b').map(
        ({ kind, value }) => `${kind}:${value}`,
      ),
      ['uri:spiffe://x/y', 'dns:a.example', 'dns:b', 'email:a@b'],
    )
  })

  it('count for nothing when one of them tries to be several', () => {
    assert.deepEqual(parseAltNames('DNS:"a, URI:spiffe://admin"'), [])
    assert.deepEqual(parseAltNames('DNS:a b'), [])
    assert.deepEqual(parseAltNames(''), [])
  })
})
