import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { containerStore } from '../support/container-store.ts'

const store = containerStore()
const { ok } = store

describe('a listing', () => {
  it('has single labels by their names', async () => {
    const labels = ['--label', 'com.example.one-word=a b', '--label', 'empty']
    await ok('create', '--name', 'labelled', ...labels, 'busybox:1')
    await ok('volume', 'create', '--label', 'x=1', 'kept')
    await ok('network', 'create', '--label', 'x=2', 'lan')
    const one = '{{.Names}}={{.Label "com.example.one-word"}}{{.Label "empty"}}{{.Label "other"}}'
    assert.equal(await ok('ps', '-a', '--format', one), 'labelled=a b')
    const table = 'table {{.Names}}\t{{.Label "com.example.one-word"}}'
    assert.equal(await ok('ps', '-a', '--format', table), 'NAMES     one word\nlabelled  a b')
    assert.equal(JSON.parse(await ok('ps', '-a', '--format', 'json')).Label, undefined)
    assert.equal(await ok('volume', 'ls', '--format', '{{.Label "x"}}'), '1')
    const ofNetworks = ['network', 'ls', '--filter', 'name=lan', '--format', '{{.Label "x"}}']
    assert.equal(await ok(...ofNetworks), '2')
  })

  it('of nothing has the headings that were asked for', async () => {
    const none = ['ps', '--filter', 'name=nosuch', '--format']
    assert.equal(
      await ok(...none, 'table {{.Names}} {{.State}} {{.Label "a.b_c"}}'),
      'NAMES STATE b c',
    )
  })
})

describe('exists', () => {
  it('tells by the exit code', async () => {
    await ok('volume', 'create', 'there')
    await ok('network', 'create', 'there')
    for (const kind of ['volume', 'network']) {
      assert.deepEqual(await store.dray(kind, 'exists', 'there'), {
        code: 0,
        stdout: '',
        stderr: '',
      })
      assert.deepEqual(await store.dray(kind, 'exists', 'other'), {
        code: 1,
        stdout: '',
        stderr: '',
      })
    }
  })
})
