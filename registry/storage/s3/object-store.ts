import { randomUUID } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import type { ByteRange, ByteSource } from '../blob-driver.ts'
import { storageFailed } from '../errors.ts'

export interface ObjectStoreOptions {
  readonly bucket: string
  /** URL of an S3 server other than Amazon's. */
  readonly endpoint?: string | undefined
  readonly region: string
  /** Whether the bucket stands in the path of a URL, not in its host name. */
  readonly pathStyle: boolean
  /** Default: those that the AWS SDK finds in environment, files or instance. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string }
}

export interface StoredObject {
  readonly bytes: Uint8Array
  /** Without quotes. */
  readonly etag: string
  /** What the conditional writer of the object marked it with. */
  readonly nonce: string | undefined
}

export interface ObjectEntry {
  readonly key: string
  readonly size: number
  readonly modified: Date
}

export interface PutObjectCondition {
  readonly ifAbsent?: true
  readonly ifMatch?: string
}

export interface MultipartEntry {
  readonly key: string
  readonly uploadId: string
  readonly started: Date
}

export interface Part {
  readonly PartNumber: number
  readonly ETag: string
}

/**
 * The calls on one bucket that Dray makes, in its own words. Conditional puts rely on `PutObject` alone: servers
 * ignore conditions on other calls. Every method may throw STORAGE_FAILED, after a bounded number of tries.
 */
export interface ObjectStore {
  /** A small object, or undefined when there is none. */
  get(key: string): Promise<StoredObject | undefined>
  /** A range of a large object as a stream. */
  open(key: string, range: ByteRange, signal?: AbortSignal): Promise<ByteSource>
  size(key: string): Promise<number | undefined>
  /** False when the condition didn't hold. An answer that got lost is told from a lost race. */
  put(key: string, bytes: Uint8Array, condition?: PutObjectCondition): Promise<boolean>
  delete(keys: readonly string[]): Promise<void>
  /** In the order of the bytes of keys. */
  list(prefix: string, options: { after?: string; limit: number }): Promise<ObjectEntry[]>
  startMultipart(key: string): Promise<string>
  putPart(key: string, uploadId: string, number: number, bytes: Uint8Array): Promise<Part>
  completeMultipart(key: string, uploadId: string, parts: readonly Part[]): Promise<void>
  abortMultipart(key: string, uploadId: string): Promise<void>
  /** Multipart uploads that were begun and not ended. */
  listMultiparts(prefix: string): Promise<MultipartEntry[]>
  close(): void
}

const ATTEMPTS = 4
const CONNECT_TIMEOUT_MS = 5000
const IDLE_TIMEOUT_MS = 30_000
const SOCKETS = 512
const PAGE = 1000
const CONDITION_ATTEMPTS = 5

export function openObjectStore(options: ObjectStoreOptions): ObjectStore {
  const client = new S3Client(clientConfig(options))
  const Bucket = options.bucket
  const closing = new AbortController()
  const sending = { abortSignal: closing.signal }

  async function get(key: string): Promise<StoredObject | undefined> {
    try {
      const object = await client.send(new GetObjectCommand({ Bucket, Key: key }), sending)
      const bytes = (await object.Body?.transformToByteArray()) ?? new Uint8Array()
      return { bytes, etag: unquoted(object.ETag), nonce: object.Metadata?.[NONCE] }
    } catch (error) {
      if (hasStatus(error, 404)) return undefined
      throw storageFailed('read an object', error)
    }
  }

  async function putOnce(
    key: string,
    bytes: Uint8Array,
    nonce: string,
    { ifAbsent, ifMatch }: PutObjectCondition,
  ): Promise<'done' | 'lost' | 'unknown'> {
    const condition = {
      ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
      ...(ifMatch === undefined ? {} : { IfMatch: ifMatch }),
    }
    const Metadata = { [NONCE]: nonce }
    const isConditional = Object.keys(condition).length > 0
    try {
      const command = new PutObjectCommand({
        Bucket,
        Key: key,
        Body: bytes,
        Metadata,
        ...condition,
      })
      await client.send(command, sending)
      return 'done'
    } catch (error) {
      if (ifMatch !== undefined && hasStatus(error, 404)) return 'lost'
      if (isConditional && hasStatus(error, 409, 412, 500, 503)) return 'unknown'
      throw storageFailed('write an object', error)
    }
  }

  /** The SDK repeats calls whose answer was lost, so that a refusal may follow our own success: look who wrote it. */
  async function put(
    key: string,
    bytes: Uint8Array,
    condition: PutObjectCondition = {},
  ): Promise<boolean> {
    const nonce = randomUUID()
    for (let attempt = 0; attempt < CONDITION_ATTEMPTS; attempt++) {
      const outcome = await putOnce(key, bytes, nonce, condition)
      if (outcome !== 'unknown') return outcome === 'done'
      const found = await get(key)
      if (found?.nonce === nonce) return true
      if (condition.ifAbsent && found !== undefined) return false
      if (condition.ifMatch !== undefined && found?.etag !== condition.ifMatch) return false
    }
    throw storageFailed('write an object under a condition', undefined)
  }

  async function call<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw storageFailed(what, error)
    }
  }

  return {
    get,
    put,
    open: (key, { start, end }, signal = closing.signal) =>
      call('read an object', async () => {
        const command = new GetObjectCommand({ Bucket, Key: key, Range: `bytes=${start}-${end}` })
        const { Body } = await client.send(command, { abortSignal: signal })
        return Body as unknown as ByteSource
      }),
    async size(key) {
      try {
        const head = await client.send(new HeadObjectCommand({ Bucket, Key: key }), sending)
        return head.ContentLength
      } catch (error) {
        if (hasStatus(error, 404)) return undefined
        throw storageFailed('look at an object', error)
      }
    },
    delete: (keys) =>
      call('delete objects', async () => {
        const [only] = keys
        if (only !== undefined && keys.length === 1) {
          await client.send(new DeleteObjectCommand({ Bucket, Key: only }), sending)
          return
        }
        for (let at = 0; at < keys.length; at += PAGE) {
          const Objects = keys.slice(at, at + PAGE).map((Key) => ({ Key }))
          const command = new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } })
          const { Errors } = await client.send(command, sending)
          if (Errors?.[0] !== undefined) throw new Error(Errors[0].Message)
        }
      }),
    list: (prefix, { after, limit }) =>
      call('list objects', async () => {
        const entries: ObjectEntry[] = []
        let token: string | undefined
        do {
          const command = new ListObjectsV2Command({
            Bucket,
            Prefix: prefix,
            MaxKeys: Math.min(limit - entries.length, PAGE),
            ...(token === undefined ? {} : { ContinuationToken: token }),
            ...(token === undefined && after !== undefined ? { StartAfter: after } : {}),
          })
          const page = await client.send(command, sending)
          for (const { Key = '', Size = 0, LastModified = new Date(0) } of page.Contents ?? []) {
            entries.push({ key: Key, size: Size, modified: LastModified })
          }
          token = page.IsTruncated ? page.NextContinuationToken : undefined
        } while (token !== undefined && entries.length < limit)
        return entries
      }),
    startMultipart: (key) =>
      call('start a multipart upload', async () => {
        const command = new CreateMultipartUploadCommand({ Bucket, Key: key })
        const { UploadId } = await client.send(command, sending)
        if (UploadId === undefined) throw new Error('the answer has no UploadId')
        return UploadId
      }),
    putPart: (key, uploadId, number, bytes) =>
      call('write a part', async () => {
        const command = new UploadPartCommand({
          ...{ Bucket, Key: key, UploadId: uploadId },
          ...{ PartNumber: number, Body: bytes },
        })
        const { ETag } = await client.send(command, sending)
        if (ETag === undefined) throw new Error('the answer has no ETag')
        return { PartNumber: number, ETag }
      }),
    completeMultipart: (key, uploadId, parts) =>
      call('complete a multipart upload', async () => {
        const command = new CompleteMultipartUploadCommand({
          ...{ Bucket, Key: key, UploadId: uploadId },
          MultipartUpload: { Parts: [...parts] },
        })
        await client.send(command, sending)
      }),
    async abortMultipart(key, uploadId) {
      try {
        const command = new AbortMultipartUploadCommand({ Bucket, Key: key, UploadId: uploadId })
        await client.send(command, sending)
      } catch (error) {
        if (!hasStatus(error, 404)) throw storageFailed('abort a multipart upload', error)
      }
    },
    listMultiparts: (prefix) =>
      call('list multipart uploads', async () => {
        const entries: MultipartEntry[] = []
        let marker: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {}
        while (marker !== undefined) {
          const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({
            ...{ Bucket, Prefix: prefix },
            ...marker,
          })
          const page = await client.send(command, sending)
          for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
            if (Key === undefined || UploadId === undefined) continue
            entries.push({ key: Key, uploadId: UploadId, started: Initiated ?? new Date() })
          }
          const { NextKeyMarker, NextUploadIdMarker } = page
          marker =
            page.IsTruncated && NextKeyMarker !== undefined
              ? {
                  KeyMarker: NextKeyMarker,
                  ...(NextUploadIdMarker === undefined
                    ? {}
                    : { UploadIdMarker: NextUploadIdMarker }),
                }
              : undefined
        }
        return entries
      }),
    close() {
      closing.abort()
      client.destroy()
    },
  }
}

const NONCE = 'dray-nonce'

function clientConfig(options: ObjectStoreOptions): S3ClientConfig {
  return {
    region: options.region,
    forcePathStyle: options.pathStyle,
    maxAttempts: ATTEMPTS,
    // Servers other than Amazon's refuse streams with trailing checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: IDLE_TIMEOUT_MS,
      httpAgent: { maxSockets: SOCKETS },
      httpsAgent: { maxSockets: SOCKETS },
    },
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
  }
}

/** Ceph's gateway compares `If-Match` with the bare etag. */
function unquoted(etag: string | undefined): string {
  return (etag ?? '').replaceAll('"', '')
}

/** Whether an error of the SDK is an answer of the server with one of these statuses. */
export function hasStatus(error: unknown, ...statuses: readonly number[]): boolean {
  const metadata = (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata
  return metadata?.httpStatusCode !== undefined && statuses.includes(metadata.httpStatusCode)
}
