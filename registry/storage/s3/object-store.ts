import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import type { ByteRange, ByteSource } from '../blob-driver.ts'
import { storageFailed } from '../errors.ts'
import { type Bucket, type BucketOptions, call, hasStatus, lookUp, openBucket } from './bucket.ts'
import { createMultiparts, type Multiparts } from './multiparts.ts'

export interface StoredObject {
  readonly bytes: Uint8Array
  /** Without quotes. */
  readonly etag: string
  /** What the writer of the object marked it with. */
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

/**
 * The calls on one bucket that Dray makes, in its own words. Conditional puts rely on `PutObject` alone: servers
 * ignore conditions on other calls. Every method may throw STORAGE_FAILED, after a bounded number of tries.
 */
export interface ObjectStore extends Multiparts {
  /** A small object, or undefined when there is none. */
  get(key: string): Promise<StoredObject | undefined>
  /** A range of a large object as a stream. */
  open(key: string, range: ByteRange): Promise<ByteSource>
  size(key: string): Promise<number | undefined>
  /** False when the condition didn't hold. An answer that got lost is told from a lost race. */
  put(key: string, bytes: Uint8Array, condition?: PutObjectCondition): Promise<boolean>
  delete(keys: readonly string[]): Promise<void>
  /** In the order of the bytes of keys. */
  list(prefix: string, options: { after?: string; limit: number }): Promise<ObjectEntry[]>
  close(): void
}

const PAGE = 1000
const CONDITION_ATTEMPTS = 5
const READ_ATTEMPTS = 4
const DELETE_ATTEMPTS = 6
const DELETE_PAUSE_MS = 25
const NONCE = 'dray-nonce'

export function openObjectStore(options: BucketOptions): ObjectStore {
  const bucket = openBucket(options)
  const { name: Bucket, client, sending } = bucket
  return {
    ...createMultiparts(bucket),
    get: (key) => getObject(bucket, key),
    open: (key, { start, end }) =>
      call('read an object', async () => {
        const command = new GetObjectCommand({ Bucket, Key: key, Range: `bytes=${start}-${end}` })
        const { Body } = await client.send(command, sending)
        return Body as unknown as ByteSource
      }),
    async size(key) {
      const command = new HeadObjectCommand({ Bucket, Key: key })
      const head = await lookUp('look at an object', () => client.send(command, sending))
      return head?.ContentLength
    },
    put: (key, bytes, condition = {}) => putObject(bucket, key, bytes, condition),
    delete: (keys) =>
      call('delete objects', async () => {
        for (let at = 0; at < keys.length; at += PAGE) {
          await deleteObjects(bucket, keys.slice(at, at + PAGE))
        }
      }),
    list: (prefix, options) => call('list objects', () => listObjects(bucket, prefix, options)),
    close: bucket.close,
  }
}

/** An answer of 200 may hold a failure for single keys, which the SDK doesn't repeat: others were changing them, say. */
async function deleteObjects(
  { name: Bucket, client, sending }: Bucket,
  keys: readonly string[],
): Promise<void> {
  let left = keys
  for (let attempt = 1; left.length > 0; attempt++) {
    const Objects = left.map((Key) => ({ Key }))
    const command = new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } })
    const { Errors = [] } = await client.send(command, sending)
    if (Errors.length > 0 && attempt === DELETE_ATTEMPTS) {
      throw new Error(`${Errors[0]?.Key}: ${Errors[0]?.Code} ${Errors[0]?.Message ?? ''}`)
    }
    // One that names no key is of all.
    const isOfAll = Errors.some(({ Key }) => Key === undefined)
    if (!isOfAll) left = Errors.map(({ Key = '' }) => Key)
    if (left.length > 0) await sleep(Math.random() * DELETE_PAUSE_MS * 2 ** attempt)
  }
}

async function getObject(
  { name: Bucket, client, sending }: Bucket,
  key: string,
): Promise<StoredObject | undefined> {
  return lookUp('read an object', async () => {
    for (let attempt = 1; ; attempt++) {
      const object = await client.send(new GetObjectCommand({ Bucket, Key: key }), sending)
      try {
        const bytes = (await object.Body?.transformToByteArray()) ?? new Uint8Array()
        // Ceph's gateway compares `If-Match` with the bare etag.
        const etag = (object.ETag ?? '').replaceAll('"', '')
        return { bytes, etag, nonce: object.Metadata?.[NONCE] }
      } catch (error) {
        // The SDK makes calls again, but not those whose answer breaks off.
        if (attempt === READ_ATTEMPTS) throw error
      }
    }
  })
}

/** The SDK repeats calls whose answer was lost, so that a refusal may follow our own success: look who wrote it. */
async function putObject(
  bucket: Bucket,
  key: string,
  bytes: Uint8Array,
  condition: PutObjectCondition,
): Promise<boolean> {
  const nonce = randomUUID()
  for (let attempt = 0; attempt < CONDITION_ATTEMPTS; attempt++) {
    const outcome = await putOnce(bucket, { key, bytes, nonce, condition })
    if (outcome !== 'unknown') return outcome === 'done'
    const found = await getObject(bucket, key)
    if (found?.nonce === nonce) return true
    if (condition.ifAbsent && found !== undefined) return false
    if (condition.ifMatch !== undefined && found?.etag !== condition.ifMatch) return false
  }
  throw storageFailed('write an object under a condition', undefined)
}

interface Put {
  readonly key: string
  readonly bytes: Uint8Array
  readonly nonce: string
  readonly condition: PutObjectCondition
}

async function putOnce(
  { name: Bucket, client, sending }: Bucket,
  { key, bytes, nonce, condition: { ifAbsent, ifMatch } }: Put,
): Promise<'done' | 'lost' | 'unknown'> {
  const command = new PutObjectCommand({
    ...{ Bucket, Key: key, Body: bytes, Metadata: { [NONCE]: nonce } },
    ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
    ...(ifMatch === undefined ? {} : { IfMatch: ifMatch }),
  })
  const isConditional = ifAbsent || ifMatch !== undefined
  try {
    await client.send(command, sending)
    return 'done'
  } catch (error) {
    if (ifMatch !== undefined && hasStatus(error, 404)) return 'lost'
    if (isConditional && hasStatus(error, 409, 412, 500, 503)) return 'unknown'
    throw storageFailed('write an object', error)
  }
}

async function listObjects(
  { name: Bucket, client, sending }: Bucket,
  prefix: string,
  { after, limit }: { readonly after?: string; readonly limit: number },
): Promise<ObjectEntry[]> {
  const entries: ObjectEntry[] = []
  for (let from = after, token: string | undefined; ; ) {
    const command = new ListObjectsV2Command({
      ...{ Bucket, Prefix: prefix, MaxKeys: Math.min(limit - entries.length, PAGE) },
      ...(token === undefined ? {} : { ContinuationToken: token }),
      ...(token === undefined && from !== undefined ? { StartAfter: from } : {}),
    })
    const {
      Contents = [],
      IsTruncated,
      NextContinuationToken,
    } = await client.send(command, sending)
    for (const { Key = '', Size = 0, LastModified = new Date(0) } of Contents) {
      entries.push({ key: Key, size: Size, modified: LastModified })
    }
    if (!IsTruncated || entries.length >= limit) return entries
    // Not every server that has more to say says how to ask for it.
    token = NextContinuationToken
    if (token === undefined && Contents.length === 0) throw new Error('the list has no next page')
    from = entries.at(-1)?.key
  }
}
