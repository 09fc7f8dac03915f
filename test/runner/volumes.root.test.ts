/** Volumes, while others remove those that no container has. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { createContainer } from '#runner/verbs/create.ts'
import { pruneVolumes } from '#runner/verbs/prune.ts'
import { playground } from './support/run.ts'

const CONTAINERS = 8

describe('volumes of containers that are being made', () => {
  it('stay, whoever prunes at the same time', async (t) => {
    const { root, rootfs } = playground(t)
    const context = { root, hostEnv: process.env }
    const namedVolumes = ['/data', '/log'].map((containerPath) => ({
      containerPath,
      readOnly: false,
      copiesUp: true,
    }))
    const stop = new AbortController()
    const pruning = (async () => {
      while (!stop.signal.aborted) await pruneVolumes(root, () => undefined)
    })()
    try {
      for (let at = 0; at < CONTAINERS; at++) {
        const { record } = await createContainer(
          rootfs,
          { command: ['true'], namedVolumes },
          context,
        )
        const places = record.options.volumes?.map(({ hostPath }) => hostPath) ?? []
        assert.deepEqual(places.map(existsSync), [true, true], `container ${at}`)
      }
    } finally {
      stop.abort()
      await pruning
    }
  })
})
