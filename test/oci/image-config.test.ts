import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { digestOf } from '#oci/digest.ts'
import { IMAGE_CONFIG_LIMIT, parseImageConfig } from '#oci/image-config.ts'
import { bytesOf } from './fixtures.ts'

const DIFF_ID = digestOf('layer')

const document = (fields: Record<string, unknown> = {}) => ({
  architecture: 'amd64',
  os: 'linux',
  rootfs: { type: 'layers', diff_ids: [DIFF_ID] },
  ...fields,
})
const parse = (value: unknown) => parseImageConfig(bytesOf(value))
const refuses = (value: unknown) =>
  assert.throws(() => parse(value), { code: 'IMAGE_CONFIG_INVALID' })

/** One that went on reading would count the mistakes. */
const refusesAtOnce = (value: unknown) =>
  assert.throws(() => parse(value), {
    code: 'IMAGE_CONFIG_INVALID',
    message: /^(?!.*\(and [0-9]{2,} more\))/,
  })

describe('parseImageConfig', () => {
  it('reads the whole of a config', () => {
    const execution = {
      User: '1000:1000',
      ExposedPorts: { '80/tcp': {} },
      Env: ['PATH=/bin', 'EMPTY='],
      Entrypoint: ['/init'],
      Cmd: ['a', 'b c'],
      Volumes: { '/data': {} },
      WorkingDir: '/srv',
      Labels: { a: 'b' },
      StopSignal: 'SIGINT',
      Shell: ['/bin/bash', '-c'],
      Healthcheck: { Test: ['CMD', 'a'], Interval: 30e9, Retries: 3 },
    }
    const history = [{ created: '2026-01-01T00:00:00Z', created_by: 'x', empty_layer: true }]
    const config = parse(document({ config: execution, history, variant: 'v1', author: 'me' }))
    assert.deepEqual(JSON.parse(JSON.stringify(config)), {
      ...document(),
      config: execution,
      history,
      variant: 'v1',
      author: 'me',
    })
  })

  it('takes null for what is absent, as docker writes it', () => {
    const execution = {
      User: '',
      ExposedPorts: null,
      Env: null,
      Entrypoint: null,
      Cmd: null,
      Volumes: null,
      WorkingDir: '',
      Labels: null,
      StopSignal: null,
      Healthcheck: null,
    }
    const { config } = parse(document({ config: execution, history: null, created: null }))
    assert.equal(config?.Env, undefined)
    assert.equal(config?.Entrypoint, undefined)
    assert.equal(config?.Labels, undefined)
    assert.equal(config?.User, '')
    assert.equal(parse(document({ config: null })).config, undefined)
  })

  it('takes an image without layers', () => {
    for (const ids of [[], null, undefined]) {
      assert.deepEqual(parse(document({ rootfs: { type: 'layers', diff_ids: ids } })).rootfs, {
        type: 'layers',
        diff_ids: [],
      })
    }
  })

  it('takes a command in one string for one word', () => {
    const read = (Cmd: unknown) => parse(document({ config: { Cmd } })).config?.Cmd
    assert.deepEqual(read('echo hello'), ['echo hello'])
    assert.deepEqual(read(''), [])
    assert.deepEqual(read([]), [])
    assert.deepEqual(read(['']), [''])
  })

  it('ignores fields that it does not know', () => {
    assert.equal(parse(document({ container_config: {}, 'os.version': 'x', id: 1 })).os, 'linux')
  })

  it('keeps hostile names of labels ordinary names', () => {
    const text = JSON.stringify(document({ config: { Labels: {} } }))
    const config = parse(text.replace('"Labels":{}', '"Labels":{"__proto__":"x","toString":"y"}'))
    assert.equal(({} as { x?: string }).x, undefined)
    assert.deepEqual(Object.entries(config.config?.Labels ?? {}), [
      ['__proto__', 'x'],
      ['toString', 'y'],
    ])
  })

  it('refuses what is no image config', () => {
    for (const value of ['', '[]', 'null', '1', '{}', '{"os":"linux"}']) refuses(value)
    refuses(document({ architecture: 5 }))
    refuses(document({ os: null }))
    refuses(document({ rootfs: undefined }))
    refuses(document({ rootfs: { type: 'tar', diff_ids: [] } }))
    refuses(document({ rootfs: { type: 'layers', diff_ids: ['sha256:00'] } }))
    refuses(document({ rootfs: { type: 'layers', diff_ids: [null] } }))
    refuses(document({ rootfs: { type: 'layers', diff_ids: DIFF_ID } }))
    refuses(document({ config: [] }))
    refuses(document({ config: { Env: 'A=B' } }))
    refuses(document({ config: { Env: [1] } }))
    refuses(document({ config: { Entrypoint: { 0: 'x' } } }))
    refuses(document({ config: { Labels: { a: 1 } } }))
    refuses(document({ config: { User: 0 } }))
    refuses(document({ history: {} }))
  })

  it('stops reading a config full of mistakes at the first', { timeout: 60_000 }, () => {
    const wrong = Array(1_000_000).fill({})
    refusesAtOnce(document({ history: Array(1_000_000).fill(0) }))
    refusesAtOnce(document({ rootfs: { type: 'layers', diff_ids: wrong } }))
    refusesAtOnce(document({ config: { Env: wrong } }))
    refusesAtOnce(document({ config: { Cmd: wrong } }))
  })

  it('refuses a diffID list that is written twice', () => {
    const text = JSON.stringify(document())
    refuses(text.replace('"diff_ids"', '"diff_ids":[],"diff_ids"'))
  })

  it('refuses a config over the limit, and reads hundreds of layers', () => {
    const diff_ids = Array.from({ length: 500 }, (_, n) => digestOf(`${n}`))
    const config = parse(document({ rootfs: { type: 'layers', diff_ids } }))
    assert.deepEqual(config.rootfs.diff_ids, diff_ids)
    refuses(document({ author: 'x'.repeat(IMAGE_CONFIG_LIMIT) }))
  })

  it('throws nothing but its own error, whatever the JSON', () => {
    const names = fc.constantFrom('config', 'rootfs', 'history', 'os', 'created', 'Env', 'variant')
    fc.assert(
      fc.property(fc.dictionary(names, fc.jsonValue({ maxDepth: 3 })), (fields) => {
        try {
          parse(document(fields))
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'IMAGE_CONFIG_INVALID')
        }
      }),
      { numRuns: 1000 },
    )
  })
})
