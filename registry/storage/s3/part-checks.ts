import type { Bench } from './bench.ts'
import { SEGMENT_SIZES } from './segment-writer.ts'

/** Two parts of the size that the registry uses, and a last one that is shorter. */
export async function checkParts({ store, key, place }: Bench): Promise<string> {
  const { partSize } = SEGMENT_SIZES
  const object = key('parts')
  const uploadId = await store.startMultipart(object)
  const bodies = [Buffer.alloc(partSize, 'a'), Buffer.alloc(partSize, 'b'), Buffer.from('c')]
  const parts = await Promise.all(
    bodies.map((body, i) => store.putPart(object, uploadId, i + 1, body)),
  )
  await store.completeMultipart(object, uploadId, parts)
  const size = await store.size(object)
  const start = partSize - 1
  const range = await store.open(object, { start, end: start + 1 })
  const bytes = Buffer.concat(await Array.fromAsync(range)).toString()
  if (size !== 2 * partSize + 1 || bytes !== 'ab') {
    throw new Error(`${place} puts parts together wrongly: use another S3 server`)
  }
  return `${partSize / 1024 ** 2} MiB each and a shorter last one, read across`
}

/** What was aborted is gone, and what wasn't can be found. */
export async function checkAbort({ store, key, place }: Bench): Promise<string> {
  const object = key('aborted')
  const uploadId = await store.startMultipart(object)
  await store.putPart(object, uploadId, 1, Buffer.from('part'))
  const open = async () =>
    (await store.listMultiparts(object)).some((each) => each.uploadId === uploadId)
  const isListed = await open()
  await store.abortMultipart(object, uploadId)
  if (!isListed || (await open()) || (await store.size(object)) !== undefined) {
    throw new Error(
      `${place} ${isListed ? 'keeps aborted uploads' : 'does not list unfinished uploads'}: their parts would pile up. ` +
        'Use a server that has AbortMultipartUpload and ListMultipartUploads',
    )
  }
  return 'listed, and gone when aborted'
}
