import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { containerStore } from '../support/container-store.ts'

const store = containerStore()
const { ok } = store

const bridgeOf = (network: string) => ok('network', 'inspect', '-f', '{{.Interface}}', network)
const isThere = (bridge: string) => existsSync(`/sys/class/net/${bridge}`)

/** As C libraries do: aardvark-dns doesn't listen for a moment whenever a container comes or goes. */
const PATIENT_LOOK_UP =
  'for i in 1 2 3 4 5; do busybox nslookup all && exit; sleep 0.2; done; exit 1'

describe('what the host has of a network', () => {
  it('is there as long as a container is on it', async () => {
    await ok('run', '-d', '--name', 'one', 'busybox:1', 'sleep', '1000')
    await ok('run', '-d', '--name', 'two', '-p', '127.0.0.1::80', 'busybox:1', 'sleep', '1000')
    const bridge = await bridgeOf('bridge')
    await ok('rm', '-f', 'one')
    assert.equal(isThere(bridge), true)
    const id = await store.inspect('two', '{{.Id}}')
    await ok('stop', 'two')
    assert.equal(isThere(bridge), false)
    assert.equal(readdirSync('/run/netns').includes(`dray-${id.slice(0, 16)}`), false)
    await ok('start', 'two')
    assert.equal(isThere(bridge), true)
    await ok('rm', '-f', 'two')
    assert.deepEqual(store.leftovers(), [])
  })

  it('is whole for every container, however many start and end at the same time', async () => {
    await ok('network', 'create', 'busy')
    const args = ['--rm', '--network', 'busy', '--network-alias', 'all', 'busybox:1']
    const rounds = Array.from({ length: 3 }, async () => {
      for (let round = 0; round < 2; round++) {
        await ok('run', ...args, 'sh', '-c', PATIENT_LOOK_UP)
      }
    })
    await Promise.all(rounds)
    assert.deepEqual(store.leftovers(), [])
  })
})
