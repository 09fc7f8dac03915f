/** The thread that takes one layer at a time: hash, inflate, hash, unpack, as its bytes arrive. */
import { parentPort } from 'node:worker_threads'
import { DrayError, isDrayError } from '#oci/error.ts'
import { type LayerJob, type LayerReply, processLayer } from './transfer/process-layer.ts'

parentPort?.on('message', (job: LayerJob) => {
  processLayer(job).then(
    (result) => reply({ result }),
    (error: unknown) => {
      const known = isDrayError(error) ? error : new DrayError('STORE_FAILED', String(error))
      const { code, message, retryable, detail } = known
      reply({ error: { code, message, retryable, detail } })
    },
  )
})

function reply(message: LayerReply): void {
  parentPort?.postMessage(message)
}
