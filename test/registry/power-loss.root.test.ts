/** What a registry on a disk of its own has acknowledged, when the power goes. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Digest, digestOf } from '#oci/digest.ts'
import { createRegistryClient, type RegistryClient } from '../contract/registry/fixture.ts'
import { until } from '../runner/support/run.ts'
import { afterTest } from '../support/after.ts'
import { startRegistryProcess } from '../support/dray.ts'
import { powerDisk } from '../support/power.ts'

const KiB = 1024
const CHUNK = randomBytes(64 * KiB)
const ROUNDS = 3
const PUSHERS = 3

/** What answers said is done. */
interface Acknowledged {
  readonly blobs: Map<Digest, Buffer>
  readonly tags: Map<string, Buffer>
  /** Bytes that an upload was said to have, by its location. */
  readonly uploads: Map<string, number>
}

describe('a registry whose disk loses its power', () => {
  it('has all that it acknowledged, and says what an upload has lost', async (t) => {
    const disk = powerDisk(t)
    const start = async () => {
      const registry = await startRegistryProcess(['--data', join(disk.dir, 'registry')])
      afterTest(t, registry.stop)
      return { registry, client: createRegistryClient([`http://${registry.host}`]) }
    }
    const done: Acknowledged = { blobs: new Map(), tags: new Map(), uploads: new Map() }
    for (let round = 0; round < ROUNDS; round++) {
      const { registry, client } = await start()
      const known = done.tags.size
      const pushing = Array.from({ length: PUSHERS }, (_, at) =>
        pushUntilItFails(client, `${round}-${at}`, done),
      )
      // A busy machine takes long for the first one.
      await until('an image is pushed', () => done.tags.size > known)
      await delay(300 * Math.random())
      disk.cut()
      await Promise.all(pushing)
      await registry.stop()
      disk.restore()
      const again = await start()
      await checkAll(again.client, done)
      await again.registry.stop()
      disk.sync()
    }
    assert.ok(done.tags.size > 0, 'nothing was pushed')
  })
})

async function pushUntilItFails(client: RegistryClient, pusher: string, done: Acknowledged) {
  try {
    for (let turn = 0; ; turn++) {
      const blob = randomBytes(20 * KiB)
      done.blobs.set(await client.pushBlob('app', blob), blob)
      const tag = `${pusher}-${turn}`
      const { bytes } = await client.pushImage('app', tag, tag)
      done.tags.set(tag, bytes)
      const location = await client.startUpload('app')
      done.uploads.set(location, 0)
      await client.expect(202, 'PATCH', location, { body: CHUNK })
      done.uploads.set(location, CHUNK.length)
    }
  } catch (error) {
    assert.match(String(error), /: 50\d|ECONNREFUSED|ECONNRESET|socket hang up/)
  }
}

async function checkAll(client: RegistryClient, { blobs, tags, uploads }: Acknowledged) {
  for (const [digest, bytes] of blobs) {
    const { body } = await client.expect(200, 'GET', `/v2/app/blobs/${digest}`)
    assert.ok(body.equals(bytes), digest)
  }
  for (const [tag, bytes] of tags) {
    const { body } = await client.expect(200, 'GET', `/v2/app/manifests/${tag}`)
    assert.ok(body.equals(bytes), tag)
  }
  for (const [location, said] of uploads) {
    const { status, headers } = await client.send('GET', location)
    uploads.delete(location)
    if (status === 404) continue // begun so late that nothing is left of it
    assert.equal(status, 204, location)
    const [, last = '0'] = String(headers.range ?? '').split('-')
    const size = last === '0' ? 0 : Number(last) + 1
    assert.ok(size <= said + CHUNK.length, `${size} of ${said}`)
    // What it says it has it has: an upload is gone on with from there.
    const joint = location.includes('?') ? '&' : '?'
    const body = CHUNK.subarray(size)
    await client.expect(201, 'PUT', `${location}${joint}digest=${digestOf(CHUNK)}`, { body })
  }
}
