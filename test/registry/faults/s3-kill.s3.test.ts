import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { bundle } from '../../support/bundle.ts'
import { type Ceph, startCeph } from '../../support/ceph-rgw.ts'
import { startS3FaultProxy } from '../../support/s3-fault-proxy.ts'
import { assertRecovers, servicesOver } from './audit.ts'
import type { Scenario } from './pushes.ts'
import { type BucketPlace, openBucketStorage } from './s3-storage.ts'
import { SCENARIOS } from './scenarios.ts'

const AT_ONCE = 2
/** s3-steps.test.ts does it for every change and every call, in one process. */
const NAMES = [
  ...['a blob by POST', 'a blob by PATCH and PUT', 'a mount', 'a manifest'],
  ...['delete tag v1', 'delete a manifest', 'delete a blob'],
]

let ceph: Ceph
let bucket: string
let dir: string
let program: string
before(async () => {
  ceph = await startCeph()
  bucket = await ceph.createBucket()
  dir = await mkdtemp(join(tmpdir(), 'dray-kill-'))
  program = await bundle(join(import.meta.dirname, 's3-process.ts'), dir)
})
after(async () => {
  await ceph.stop()
  await rm(dir, { recursive: true })
})

/** Runs the change in a process that is killed when its n-th call that changes something has had its effect. */
async function runKilled(place: BucketPlace, scenario: Scenario, n: number): Promise<boolean> {
  let changes = 0
  const proxy = await startS3FaultProxy(ceph.endpoint, {
    faultOf: () => (changes >= n ? 'reset' : undefined),
    async onEffect({ method }) {
      if (method === 'GET' || method === 'HEAD' || ++changes !== n) return
      child.kill('SIGKILL')
      await ended
    },
  })
  const { accessKeyId, secretAccessKey } = place.credentials
  const number = String(SCENARIOS.indexOf(scenario))
  const args = [program, proxy.url, bucket, place.prefix, accessKeyId, secretAccessKey, number]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = once(child, 'exit')
  const [code, signal] = await ended
  await proxy.stop()
  assert.ok(code === 0 || signal === 'SIGKILL', `the process ended with ${code}`)
  return signal === 'SIGKILL'
}

describe('a registry on S3 that is killed', { concurrency: AT_ONCE, timeout: 900_000 }, () => {
  for (const scenario of SCENARIOS.filter(({ change }) => NAMES.includes(change.name))) {
    it(`after any call of ${scenario.change.name} recovers, and a second try succeeds`, async () => {
      const { endpoint, credentials } = ceph
      for (let n = 1, isKilled = true; isKilled; n++) {
        const place = { endpoint, credentials, bucket, prefix: `${randomUUID()}/` }
        const storage = openBucketStorage(place)
        for (const change of scenario.given) await change.run(servicesOver(storage))
        storage.store.close()
        isKilled = await runKilled(place, scenario, n)
        assert.ok(isKilled || n > 1, 'it was never killed')
        const after = openBucketStorage(place)
        await assertRecovers(after, scenario.change, after).catch((cause) => {
          throw new Error(`after call ${n}: ${cause.message}`, { cause })
        })
        after.store.close()
      }
    })
  }
})
