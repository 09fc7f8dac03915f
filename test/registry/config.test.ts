import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { authSchema } from '#registry/auth/config.ts'
import { NAMED_SETTINGS } from '#registry/config/sources.ts'
import { type ConfigSources, loadConfig, parseConfig } from '#registry/index.ts'
import { suitableWorkers } from '#registry/workers/count.ts'
import { configurationPage, PAGE } from '../../scripts/docs.ts'

const json = (value: unknown) => Buffer.from(JSON.stringify(value))

describe('the configuration', () => {
  it('is complete without any source, and frozen', () => {
    const config = parseConfig({ env: {} })
    assert.deepEqual(config, {
      listen: { host: '127.0.0.1', port: 5000 },
      dataDir: '/var/lib/dray/registry',
      s3: undefined,
      stallTimeoutMs: 60_000,
      uploadTtlMs: 86_400_000,
      shutdownTimeoutMs: 30_000,
      missingReferences: 'refuse',
      readOnly: false,
      immutableTags: {},
      warnings: [],
      workers: suitableWorkers(),
      auth: undefined,
      tls: undefined,
      limits: {
        ...{ requestsPerSecond: undefined, burst: 100, concurrentRequests: undefined },
        ...{ openUploads: undefined, repositoryBytes: undefined },
        ...{ manifestBytes: 4_194_304, headerBytes: 16_384 },
      },
      trustedProxies: [],
      openToAnyone: false,
      plainHttp: false,
      metrics: undefined,
      shutdownDelayMs: 0,
      logLevel: 'info',
    })
    assert.ok(Object.isFrozen(config) && Object.isFrozen(config.listen))
  })

  it('takes each key from flags, then environment, then file', () => {
    const file = json({
      listen: 'localhost:1',
      dataDir: '/file',
      s3: { bucket: 'file', region: 'file' },
    })
    const env = {
      DRAY_DATA_DIR: '/env',
      DRAY_S3_BUCKET: 'env',
      DRAY_UPLOAD_TTL_MS: '5',
      DRAY_LISTEN: '',
    }
    const flags = { s3: { bucket: 'flag' }, dataDir: undefined } as never
    const config = parseConfig({ env, file, flags })
    assert.deepEqual(config.listen, { host: 'localhost', port: 1 })
    assert.equal(config.dataDir, '/env')
    assert.equal(config.uploadTtlMs, 5)
    assert.deepEqual(config.s3, {
      ...{ bucket: 'flag', region: 'file', endpoint: undefined, pathStyle: false, prefix: '' },
      ...{ redirect: false, publicEndpoint: undefined },
      ...{ redirectTtlMs: 1_200_000, redirectMinBytes: 65_536 },
    })
  })

  it('takes every key from its variable', () => {
    const values: Readonly<Record<string, [string, unknown]>> = {
      listen: ['[::1]:80', { host: '::1', port: 80 }],
      dataDir: ['/data', '/data'],
      's3.bucket': ['b', 'b'],
      's3.endpoint': ['http://s3:1', 'http://s3:1'],
      's3.region': ['r', 'r'],
      's3.pathStyle': ['true', true],
      's3.prefix': ['a/b/', 'a/b/'],
      's3.redirect': ['true', true],
      's3.publicEndpoint': ['https://public', 'https://public'],
      's3.redirectMinBytes': ['0', 0],
      's3.redirectTtlMs': ['1000', 1000],
      stallTimeoutMs: ['1', 1],
      uploadTtlMs: ['2', 2],
      shutdownTimeoutMs: ['3', 3],
      missingReferences: ['allow', 'allow'],
      readOnly: ['true', true],
      immutableTags: ['{"a/*":["v*"]}', { 'a/*': ['v*'] }],
      warnings: ['["text"]', ['text']],
      workers: ['7', 7],
      auth: ['{"challenge":"basic"}', authSchema.parse({ challenge: 'basic' })],
      'tls.cert': ['/c', '/c'],
      'tls.key': ['/k', '/k'],
      'tls.clientCa': ['/ca', '/ca'],
      'tls.requireClientCert': ['true', true],
      'limits.requestsPerSecond': ['5', 5],
      'limits.burst': ['6', 6],
      'limits.concurrentRequests': ['7', 7],
      'limits.openUploads': ['8', 8],
      'limits.repositoryBytes': ['9', 9],
      'limits.manifestBytes': ['2048', 2048],
      'limits.headerBytes': ['8192', 8192],
      trustedProxies: ['["10.0.0.0/8"]', ['10.0.0.0/8']],
      openToAnyone: ['true', true],
      plainHttp: ['true', true],
      shutdownDelayMs: ['4', 4],
      'metrics.listen': ['127.0.0.1:9', { host: '127.0.0.1', port: 9 }],
      logLevel: ['debug', 'debug'],
    }
    const env = Object.fromEntries(
      NAMED_SETTINGS.map(({ key, variable }) => [variable, values[key]?.[0]]),
    )
    const config = parseConfig({ env })
    for (const { key } of NAMED_SETTINGS) {
      const value = key
        .split('.')
        .reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], config)
      assert.deepEqual(value, values[key]?.[1], key)
    }
  })

  const refused: Readonly<Record<string, ConfigSources>> = {
    'a file that is not JSON': { env: {}, file: Buffer.from('listen: x') },
    'a key that does not exist': { env: {}, file: json({ port: 5000 }) },
    'a key below s3 that does not exist': {
      env: {},
      file: json({ s3: { bucket: 'b', key: 'k' } }),
    },
    'a value of another type': { env: {}, file: json({ uploadTtlMs: '5' }) },
    'a duration of 0': { env: {}, file: json({ stallTimeoutMs: 0 }) },
    'a duration past the longest timer': { env: {}, file: json({ stallTimeoutMs: 2 ** 31 }) },
    'a variable that is no number': { env: { DRAY_UPLOAD_TTL_MS: '1 day' } },
    'no workers at all': { env: { DRAY_WORKERS: '0' } },
    'a variable that is no boolean': { env: { DRAY_S3_BUCKET: 'b', DRAY_S3_PATH_STYLE: 'yes' } },
    'keys of s3 without a bucket': { env: { DRAY_S3_REGION: 'eu-west-1' } },
    'an endpoint that is no URL': {
      env: { DRAY_S3_BUCKET: 'b', DRAY_S3_ENDPOINT: 's3.example.org' },
    },
    'immutable tags that are no map of lists': {
      env: { DRAY_IMMUTABLE_TAGS: '{"prod":"v*"}' },
    },
    'an immutable tag of an empty pattern': { env: {}, file: json({ immutableTags: { a: [''] } }) },
    'an immutable tag of a wrong pattern': {
      env: {},
      file: json({ immutableTags: { a: ['v**'] } }),
    },
    'a list that is no JSON': { env: { DRAY_WARNINGS: 'text' } },
    'warnings of more than a line': { env: {}, file: json({ warnings: ['a\r\nb'] }) },
    'warnings that are too long together': {
      env: {},
      file: json({ warnings: ['x'.repeat(2000), 'x'.repeat(2060)] }),
    },
    'a prefix that does not end in a slash': { env: { DRAY_S3_BUCKET: 'b', DRAY_S3_PREFIX: 'x' } },
    'an address without a port': { env: { DRAY_LISTEN: 'localhost' } },
    'an address with a port too large': { env: { DRAY_LISTEN: 'localhost:65536' } },
    'an address that others can reach, without a word on auth': {
      env: { DRAY_LISTEN: '0.0.0.0:5000', DRAY_PLAIN_HTTP: 'true' },
    },
    'an address that others can reach, without a word on TLS': {
      env: { DRAY_LISTEN: '[::]:5000', DRAY_OPEN_TO_ANYONE: 'true' },
    },
    'a name that others can reach': { env: { DRAY_LISTEN: 'registry.example.org:5000' } },
    'a read-only registry that would have to keep keys': {
      env: { DRAY_READ_ONLY: 'true', DRAY_AUTH: '{}' },
    },
    'a certificate without a key': { env: { DRAY_TLS_CERT: '/cert' } },
    'certificates of clients that nobody can have': {
      env: { DRAY_TLS_CERT: '/c', DRAY_TLS_KEY: '/k', DRAY_TLS_REQUIRE_CLIENT_CERT: 'true' },
    },
    'a proxy that is no address': { env: { DRAY_TRUSTED_PROXIES: '["proxy"]' } },
    'a key of auth that does not exist': { env: { DRAY_AUTH: '{"users":{}}' } },
    'a rule without actions': {
      env: { DRAY_AUTH: '{"rules":[{"name":"a","subjects":["anyone"],"repositories":["**"]}]}' },
    },
    'an IPv6 address without brackets': { env: { DRAY_LISTEN: '::1:5000' } },
  }
  for (const [what, sources] of Object.entries(refused)) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parseConfig(sources), { code: 'CONFIG_INVALID' })
    })
  }

  it('lets a registry listen where only this machine reaches it, or everybody if told so', () => {
    for (const listen of ['localhost:1', '127.0.0.2:1', '[::1]:1', '[::ffff:127.0.0.1]:1']) {
      parseConfig({ env: { DRAY_LISTEN: listen } })
    }
    const env = { DRAY_LISTEN: '0.0.0.0:5000', DRAY_PLAIN_HTTP: 'true' }
    parseConfig({ env: { ...env, DRAY_OPEN_TO_ANYONE: 'true' } })
    parseConfig({ env: { ...env, DRAY_AUTH: '{}' } })
    const tls = { DRAY_TLS_CERT: '/c', DRAY_TLS_KEY: '/k' }
    parseConfig({ env: { ...env, ...tls, DRAY_PLAIN_HTTP: '', DRAY_AUTH: '{}' } })
  })

  it('is read from a file that a path or DRAY_CONFIG names', () => {
    const dir = mkdtempSync(join(tmpdir(), 'dray-config-'))
    const path = join(dir, 'config.json')
    writeFileSync(path, json({ dataDir: '/from/file' }))
    assert.equal(loadConfig({ env: {}, path }).dataDir, '/from/file')
    assert.equal(loadConfig({ env: { DRAY_CONFIG: path } }).dataDir, '/from/file')
    assert.equal(loadConfig({ env: {} }).dataDir, '/var/lib/dray/registry')
    rmSync(dir, { recursive: true })
    assert.throws(() => loadConfig({ env: {}, path }), {
      code: 'CONFIG_INVALID',
      message: /config\.json/,
    })
  })

  it('is documented as the table of settings says', () => {
    assert.equal(readFileSync(PAGE, 'utf8'), configurationPage(), 'run `npm run docs`')
  })

  const misspelt: Readonly<Record<string, [object, RegExp]>> = {
    'a key': [{ uploadTTL: 1 }, /no key "uploadTTL"; did you mean uploadTtlMs\?/],
    'a key of a section': [
      { s3: { endpont: 'x' } },
      /no key "s3\.endpont"; did you mean s3\.endpoint\?/,
    ],
    'a section': [{ s4: {} }, /no key "s4"; did you mean s3\?/],
    'a key without its section': [
      { pathStyle: true },
      /no key "pathStyle"; did you mean s3\.pathStyle\?/,
    ],
    'a name of every object': [{ constructor: 1 }, /no key "constructor"$/],
  }
  for (const [what, [document, message]] of Object.entries(misspelt)) {
    it(`names what is nearest to ${what} that does not exist`, () => {
      const file = json(document)
      assert.throws(() => parseConfig({ env: {}, file }), { code: 'CONFIG_INVALID', message })
    })
  }

  it('names what is nearest to a variable that does not exist, and leaves those of others alone', () => {
    const refused = {
      DRAY_S3_BUKET: 'DRAY_S3_BUCKET',
      DRAY_DATA: 'DRAY_DATA_DIR',
      DRAY_TRUSTED_PROXY: 'DRAY_TRUSTED_PROXIES',
    }
    for (const [name, nearest] of Object.entries(refused)) {
      const message = `there is no variable ${name}; did you mean ${nearest}?`
      assert.throws(() => parseConfig({ env: { [name]: 'x' } }), {
        code: 'CONFIG_INVALID',
        message,
      })
    }
    const ours = ['CONFIG', 'ROOT', 'CGROUP_MANAGER', 'INFLATER', 'LAYER_STORE', 'LAYER_VERITY']
    const ofKubernetes = ['PORT', 'PORT_5000_TCP', 'SERVICE_HOST', 'SERVICE_PORT', 'S3_PORT']
    for (const name of [...ours, ...ofKubernetes]) parseConfig({ env: { [`DRAY_${name}`]: 'x' } })
  })

  it('says where a value that it refuses was given', () => {
    const given: [ConfigSources, RegExp][] = [
      [{ env: {}, file: json({ s3: { bucket: '' } }) }, /^invalid s3\.bucket: /],
      [{ env: {}, file: json({ immutableTags: { a: [1] } }) }, /^invalid immutableTags\.a\.0: /],
      [{ env: { DRAY_S3_PATH_STYLE: 'yes' } }, /^invalid DRAY_S3_PATH_STYLE: /],
      [{ env: { DRAY_WARNINGS: '[' } }, /^invalid DRAY_WARNINGS: /],
      [{ env: {}, flags: { dataDir: '' } }, /^invalid --data: /],
    ]
    for (const [sources, message] of given) {
      assert.throws(() => parseConfig(sources), { code: 'CONFIG_INVALID', message })
    }
  })
})
