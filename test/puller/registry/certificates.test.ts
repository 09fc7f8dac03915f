import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { describe as describeBytes } from '#oci/descriptor.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parseRepositoryName } from '#oci/reference.ts'
import { readCertificates, readNamedCertificates } from '#puller/registry/certificates.ts'
import { openRepository } from '#puller/registry/client.ts'
import { createDirectReader } from '#puller/registry/direct.ts'
import { createCertificate } from '../../support/certificates.ts'
import { tempDir } from '../../support/temp-dir.ts'

const BLOB = Buffer.from('some bytes')
const CA = createCertificate('test CA')
const SERVER = createCertificate('server', { ca: CA, ip: ['127.0.0.1'] })
const CLIENT = createCertificate('client', { ca: CA, dns: ['client.example'] })

interface SecureServer {
  readonly host: string
  /** Who showed which certificate, for each request. */
  readonly shown: readonly (string | undefined)[]
}

/** A server that asks for a certificate, and answers with the blob, a range of it, or a redirect. */
async function serve(t: TestContext, redirect?: string): Promise<SecureServer> {
  const shown: (string | undefined)[] = []
  const options = { cert: SERVER.cert, key: SERVER.key, ca: CA.cert, requestCert: true }
  const server = createServer({ ...options, rejectUnauthorized: false }, (request, response) => {
    shown.push((request.socket as TLSSocket).getPeerCertificate().subject?.CN?.toString())
    if (request.url === '/v2/') return response.end()
    if (redirect !== undefined) return response.writeHead(307, { location: redirect }).end()
    if (request.headers.range === undefined) return response.end(BLOB)
    const headers = { 'content-range': 'bytes 0-3/10', 'content-length': '4' }
    return response.writeHead(206, headers).end(BLOB.subarray(0, 4))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, shown }
}

/** A directory of certificates in docker's layout. */
function certificatesFor(t: TestContext, hosts: readonly string[], files: object): string {
  const parent = tempDir(t)
  for (const host of hosts) {
    mkdirSync(join(parent, host), { recursive: true })
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(parent, host, name), content)
    }
  }
  return parent
}

function open(registry: string, dir: string) {
  return openRepository({
    registry,
    repository: parseRepositoryName('team/app'),
    access: 'pull',
    certificates: (name) => readCertificates([dir], name),
  })
}

const ALL = { 'ca.crt': CA.cert, 'me.cert': CLIENT.cert, 'me.key': CLIENT.key }
const [FIRST, SECOND] = [SERVER.cert, CLIENT.cert].map(String)
const DESCRIPTOR = describeBytes(MEDIA_TYPE.ociLayer, BLOB)

describe('the certificates of a registry', () => {
  it('make it trusted, and say who we are, over every kind of connection', async (t) => {
    const server = await serve(t)
    const client = await open(server.host, certificatesFor(t, [server.host], ALL))
    const { body, source } = await client.openBlob(DESCRIPTOR, undefined)
    assert.deepEqual(Buffer.concat(await body.toArray()), BLOB)
    const direct = createDirectReader(5000)
    t.after(() => direct.close())
    const read: Buffer[] = []
    const onBytes = (chunk: Buffer) => void read.push(Buffer.from(chunk))
    const never = new AbortController().signal
    assert.ok(await direct.read(source, { start: 0, end: 4 }, onBytes, never))
    assert.deepEqual(Buffer.concat(read), BLOB.subarray(0, 4))
    assert.deepEqual(new Set(server.shown), new Set(['client']))
  })

  it('are needed where the system trusts nobody there', async (t) => {
    const server = await serve(t)
    await assert.rejects(open(server.host, tempDir(t)), {
      code: 'REGISTRY_UNREACHABLE',
      message: /^(?!.*Node\.js).*ca\.crt of --cert-dir$/,
    })
  })

  it('go along with no redirect, and trust nobody else', async (t) => {
    const other = await serve(t)
    const server = await serve(t, `https://${other.host}/blob`)
    const client = await open(server.host, certificatesFor(t, [server.host], ALL))
    await assert.rejects(client.openBlob(DESCRIPTOR, undefined), { code: 'REGISTRY_UNREACHABLE' })
    assert.deepEqual(other.shown, [])
  })

  it('are those of the first directory that has any', async (t) => {
    const [empty, first, second] = [
      tempDir(t),
      certificatesFor(t, ['r.example:5000'], { 'a.crt': FIRST }),
      certificatesFor(t, ['r.example:5000', 'other.example'], { 'a.crt': SECOND }),
    ]
    const dirs = [empty, first, second]
    assert.equal((await readCertificates(dirs, 'r.example:5000'))?.ca?.at(-1), FIRST)
    assert.equal((await readCertificates(dirs, 'other.example'))?.ca?.at(-1), SECOND)
    assert.equal(await readCertificates(dirs, 'r.example'), undefined)
  })

  it('may be straight in a directory that was named, for the registry that the command is about', async (t) => {
    const dir = tempDir(t)
    writeFileSync(join(dir, 'a.crt'), String(FIRST))
    const read = (registry: string) => readNamedCertificates(dir, registry, 'r.example')
    assert.equal((await read('r.example'))?.ca?.at(-1), FIRST)
    assert.equal(await read('mirror.example'), undefined)
    mkdirSync(join(dir, 'r.example'))
    writeFileSync(join(dir, 'r.example/a.crt'), String(SECOND))
    assert.equal((await read('r.example'))?.ca?.at(-1), SECOND)
    await assert.rejects(readNamedCertificates('/nowhere', 'r.example', 'r.example'), {
      code: 'CONFIG_INVALID',
      message: /\/nowhere: no such directory$/,
    })
  })

  const ALONE = [
    { files: { 'ca.crt': 'x' }, says: /r\.example\/ca\.crt holds no certificate in PEM$/ },
    { files: { 'me.cert': 'x' }, says: /has me\.cert, but not me\.key/ },
    { files: { 'me.key': 'x' }, says: /has me\.key, but not me\.cert/ },
    { files: { 'me.cert': 'x', 'you.key': 'y' }, says: /has me\.cert, but not me\.key/ },
  ]
  for (const { files, says } of ALONE) {
    it(`are refused as ${Object.keys(files).join(' and ')}`, async (t) => {
      const dir = certificatesFor(t, ['r.example'], files)
      await assert.rejects(readCertificates([dir], 'r.example'), {
        code: 'CONFIG_INVALID',
        message: says,
      })
    })
  }
})
