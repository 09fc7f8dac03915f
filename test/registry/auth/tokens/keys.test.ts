import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { readKeyRing } from '#registry/auth/tokens/file-keys.ts'
import { createStoredKeys } from '#registry/auth/tokens/stored-keys.ts'
import { createMemoryRecordDriver } from '#registry/storage/memory/record-driver.ts'

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

describe('the keys that the registry keeps in its records', () => {
  const options = { algorithm: 'EdDSA', rotateMs: 10 * HOUR_MS, keepMs: 5 * HOUR_MS } as const

  it('are the same for all replicas, though all need one at once', async () => {
    const records = createMemoryRecordDriver()
    const rings = Array.from({ length: 5 }, () => createStoredKeys(records, options))
    const keys = await Promise.all(rings.map((ring) => ring.current()))
    assert.equal(new Set(keys.map(({ kid }) => kid)).size, 1)
    const another = await createStoredKeys(records, options).find(keys[0]?.kid ?? '')
    assert.equal(another?.kid, keys[0]?.kid)
  })

  it('are rotated so that every replica knows each key before it signs, and while its tokens live', async () => {
    const records = createMemoryRecordDriver()
    let time = 1000 * options.rotateMs
    const now = () => time
    const signer = createStoredKeys(records, { ...options, now })
    const checker = createStoredKeys(records, { ...options, now })
    const signed: { kid: string; at: number }[] = []
    for (; time < 1004 * options.rotateMs; time += 4 * MINUTE_MS) {
      const { kid } = await signer.current()
      signed.push({ kid, at: time })
      for (const { kid, at } of signed.slice(-200)) {
        if (at + options.keepMs < time) continue
        assert.ok(await checker.find(kid), `a token of ${(time - at) / HOUR_MS} h`)
      }
    }
    assert.equal(new Set(signed.map(({ kid }) => kid)).size, 4)
    const stored = await records.list('token-keys/', { limit: 100 })
    assert.ok(stored.length <= 3, 'old keys are gone')
    assert.equal(await checker.find(signed[0]?.kid ?? ''), undefined)
  })

  it('are looked for in the records when a token names one that is new', async () => {
    const records = createMemoryRecordDriver()
    let time = 0
    const now = () => time
    const first = createStoredKeys(records, { ...options, now })
    await first.current()
    const ahead = createStoredKeys(records, { ...options, now: () => time + options.rotateMs })
    const { kid } = await ahead.current()
    assert.equal(await first.find(kid), undefined, 'it has looked a moment ago')
    time += 6000
    assert.equal((await first.find(kid))?.kid, kid)
  })

  it('do not leave the records in what is published', async () => {
    for (const algorithm of ['EdDSA', 'ES256'] as const) {
      const ring = createStoredKeys(createMemoryRecordDriver(), { ...options, algorithm })
      for (const { publicJwk } of await ring.all()) {
        assert.equal(publicJwk.d, undefined)
        assert.equal(publicJwk.alg, algorithm)
      }
    }
  })
})

describe('keys from files', () => {
  const dir = mkdtempSync(join(tmpdir(), 'dray-keys-'))
  after(() => rmSync(dir, { recursive: true }))
  const write = (name: string, content: string) => {
    writeFileSync(join(dir, name), content)
    return join(dir, name)
  }
  const pem = { type: 'pkcs8', format: 'pem' } as const
  const edwards = generateKeyPairSync('ed25519').privateKey
  const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey

  it('may be PEM or JWK; the first one signs and all are known', async () => {
    const ring = readKeyRing([
      write('a.pem', String(elliptic.export(pem))),
      write('b.jwk', JSON.stringify(edwards.export({ format: 'jwk' }))),
    ])
    assert.equal((await ring.current()).alg, 'ES256')
    assert.deepEqual(
      (await ring.all()).map(({ alg }) => alg),
      ['ES256', 'EdDSA'],
    )
  })

  const refused: Readonly<Record<string, string>> = {
    'a public key': String(
      generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }),
    ),
    'an RSA key': String(
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export(pem),
    ),
    'another curve': String(
      generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export(pem),
    ),
    'no key': 'secret text',
    'broken JSON': '{"d":"secret text',
  }
  for (const [what, content] of Object.entries(refused)) {
    it(`are refused when one is ${what}, without repeating it`, () => {
      const path = write('bad', content)
      assert.throws(
        () => readKeyRing([path]),
        ({ code, message }) =>
          code === 'CONFIG_INVALID' && message.includes(path) && !message.includes('secret'),
      )
    })
  }
})
