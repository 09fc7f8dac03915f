/** The thread that takes one layer at a time: hash, inflate, hash, unpack, as its bytes arrive. */
import { parentPort, workerData } from 'node:worker_threads'
import type { DrayError } from '#oci/error.ts'
import { createGunzips } from './layers/inflater.ts'
import {
  getReady,
  type LayerJob,
  type LayerReply,
  processLayer,
  type ThreadData,
} from './transfer/process-layer.ts'

const { inflater, ahead } = workerData as ThreadData
const gunzipFor = createGunzips(inflater)
if (ahead) getReady()

parentPort?.on('message', (job: LayerJob) => {
  processLayer(job, gunzipFor).then(
    (result) => reply({ result }),
    ({ code, message, retryable, detail }: DrayError) => {
      reply({ error: { code, message, retryable, detail } })
    },
  )
})

function reply(message: LayerReply): void {
  parentPort?.postMessage(message)
}
