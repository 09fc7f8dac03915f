import { type Digest, digestAlgorithm, digestOf } from '#oci/digest.ts'
import type { BlobDriver, UploadKey } from '../blob-driver.ts'
import { blobUnknown, outOfOrder, uploadUnknown } from '../errors.ts'
import { checkDigest } from '../verify.ts'

interface Upload {
  bytes: Buffer
  touched: number
  busy: boolean
}

const CHUNK = 64 * 1024

/** Keeps blobs in this process's memory, for tests. */
export function createMemoryBlobDriver(): BlobDriver {
  const blobs = new Map<Digest, Buffer>()
  const uploads = new Map<UploadKey, Upload>()

  function idleUpload(key: UploadKey, offset: number): Upload {
    const upload = uploads.get(key)
    if (upload === undefined) throw uploadUnknown()
    if (upload.busy) throw outOfOrder(offset, undefined)
    return upload
  }

  return {
    async stat(digest) {
      const blob = blobs.get(digest)
      return blob === undefined ? undefined : { size: blob.length }
    },
    async read(digest, range) {
      const blob = blobs.get(digest)
      if (blob === undefined) throw blobUnknown(digest)
      return chunksOf(range === undefined ? blob : blob.subarray(range.start, range.end + 1))
    },
    async put(digest, source) {
      const bytes = Buffer.concat(await Array.fromAsync(source, (chunk) => Buffer.from(chunk)))
      checkDigest(digest, digestOf(bytes, digestAlgorithm(digest)))
      blobs.set(digest, bytes)
      return bytes.length
    },
    async delete(digest) {
      blobs.delete(digest)
    },
    async createUpload(key) {
      uploads.set(key, { bytes: Buffer.alloc(0), touched: Date.now(), busy: false })
    },
    async uploadSize(key) {
      return uploads.get(key)?.bytes.length
    },
    async append(key, offset, source) {
      const upload = idleUpload(key, offset)
      if (upload.bytes.length !== offset) throw outOfOrder(offset, upload.bytes.length)
      upload.busy = true
      const chunks: Uint8Array[] = []
      try {
        for await (const chunk of source) chunks.push(Buffer.from(chunk))
      } finally {
        upload.bytes = Buffer.concat([upload.bytes, ...chunks])
        upload.touched = Date.now()
        upload.busy = false
      }
      if (uploads.get(key) !== upload) throw uploadUnknown()
      return upload.bytes.length
    },
    async commit(key, digest) {
      const { bytes } = idleUpload(key, 0)
      uploads.delete(key)
      checkDigest(digest, digestOf(bytes, digestAlgorithm(digest)))
      blobs.set(digest, bytes)
      return bytes.length
    },
    async abort(key) {
      uploads.delete(key)
    },
    async expireUploads(idleMs) {
      for (const [key, { touched, busy }] of uploads) {
        if (!busy && touched <= Date.now() - idleMs) uploads.delete(key)
      }
    },
    async close() {},
  }
}

async function* chunksOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.subarray(at, at + CHUNK)
}
