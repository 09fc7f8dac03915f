import { createHash } from 'node:crypto'
import { ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3'
import type { Check } from '../../check/findings.ts'
import type { Bench } from './bench.ts'
import { call, hasStatus } from './bucket.ts'
import { explained, refusesUs } from './explained.ts'
import { checkAbort, checkParts } from './part-checks.ts'
import { checkSignedUrls } from './signed-url-check.ts'

type Run = (bench: Bench) => Promise<string>

const WRITERS = 8

/** Keys in the order of their bytes, which is neither that of people nor that of paths. */
const NAMES = ['list/A', 'list/a', 'list/a!', 'list/a-b', 'list/a/b', 'list/a0', 'list/~']

/** What can be tried in an instant, when a registry starts. */
export function quickChecks(bench: Bench): readonly Check[] {
  return [
    check(bench, 'create once', checkCreateOnce, ['s3:PutObject', 's3:GetObject']),
    check(bench, 'change if unchanged', checkReplace, ['s3:PutObject']),
  ]
}

/** All that a registry needs of a bucket. */
export function writeChecks(bench: Bench): readonly Check[] {
  return [
    ...quickChecks(bench),
    check(bench, 'listing', checkListing, ['s3:ListBucket', 's3:DeleteObject']),
    check(bench, 'parts', checkParts, ['s3:PutObject', 's3:GetObject']),
    check(bench, 'aborted parts', checkAbort, [
      's3:AbortMultipartUpload',
      's3:ListBucketMultipartUploads',
    ]),
    { ...check(bench, 'clock', checkClock), isNeeded: bench.options.redirect },
    { ...check(bench, 'checksums', checkChecksums), isNeeded: false },
    { ...check(bench, 'signed URLs', checkSignedUrls), isNeeded: bench.options.redirect },
  ]
}

/** All that a registry needs that never writes. */
export function readChecks(bench: Bench): readonly Check[] {
  const read: Run = async ({ store, key }) => {
    await store.list(key(''), { limit: 1 })
    await store.get(key('none'))
    return 'objects can be listed and read'
  }
  return [
    check(bench, 'objects', read, ['s3:GetObject', 's3:ListBucket']),
    check(bench, 'clock', checkClock),
  ]
}

function check(bench: Bench, name: string, run: Run, permissions: readonly string[] = []): Check {
  return {
    name,
    isNeeded: true,
    run: () =>
      run(bench).catch((error: unknown) => {
        throw explained(error, bench.place, permissions)
      }),
  }
}

const checkCreateOnce: Run = async (bench) => {
  const { store, key, place } = bench
  const create = () => isStored(bench, { name: 'once', IfNoneMatch: '*' })
  const created = await Promise.all(Array.from({ length: WRITERS }, create))
  if (created.filter(Boolean).length !== 1 || (await create())) {
    throw new Error(
      `${place} ignores If-None-Match: two writers could both believe that they had won. Use an S3 server that ` +
        'honours conditional writes on PutObject (Amazon S3, Ceph 16, R2, MinIO, or later)',
    )
  }
  const found = await store.get(key('once'))
  if (Buffer.from(found?.bytes ?? []).toString() !== 'probe') {
    throw new Error(`${place} does not give back at once what was written: use a server that does`)
  }
  return `of ${WRITERS} writers at once one created an object, which was read`
}

const checkReplace: Run = async ({ store, key, place }) => {
  await store.put(key('change'), Buffer.from('one'))
  const { etag = '' } = (await store.get(key('change'))) ?? {}
  const isChanged = await store.put(key('change'), Buffer.from('two'), { ifMatch: etag })
  if (!isChanged || (await store.put(key('change'), Buffer.from('three'), { ifMatch: etag }))) {
    throw new Error(
      `${place} ${isChanged ? 'ignores' : 'does not understand'} If-Match: tags could be overwritten unseen. Use an ` +
        'S3 server that honours it on PutObject (Amazon S3, Ceph 16, R2, MinIO, or later)',
    )
  }
  return 'with the etag of before it was refused'
}

const checkListing: Run = async ({ store, key, place }) => {
  const keys = NAMES.map(key)
  const prefix = key('list/')
  await Promise.all(keys.map((each) => store.put(each, Buffer.from('1'))))
  const list = async (options: { after?: string; limit: number }) =>
    (await store.list(prefix, options)).map((entry) => entry.key)
  const expect = (what: string, found: readonly string[], expected: readonly string[]) => {
    if (found.join('\n') === expected.join('\n')) return
    throw new Error(`${place} lists ${what}: use a server whose listings are exact`)
  }
  expect('objects late, or not in the order of their bytes', await list({ limit: 100 }), keys)
  const rest = await list({ after: keys[1] ?? '', limit: 3 })
  expect('other objects after a key than those that follow it', rest, keys.slice(2, 5))
  await store.delete(keys.slice(0, 2))
  expect('objects that were deleted', await list({ limit: 100 }), keys.slice(2))
  return 'exact after writes and deletions, in the order of bytes'
}

const MOST_SKEW_MS = 5 * 60_000

const checkClock: Run = async (bench) => {
  const before = Date.now()
  const date = await timeOfServer(bench)
  const skewMs = date - (before + Date.now()) / 2
  const seconds = Math.round(Math.abs(skewMs) / 1000)
  if (Math.abs(skewMs) > MOST_SKEW_MS) {
    throw new Error(
      `the clock of ${bench.place} is ${seconds} s ${skewMs > 0 ? 'ahead' : 'behind'}, and signatures are refused at ` +
        '15 minutes: set the time of this machine, or of the server',
    )
  }
  return `${seconds} s apart`
}

const checkChecksums: Run = async (bench) => {
  const ContentMD5 = createHash('md5').update('other').digest('base64')
  if (await isStored(bench, { name: 'checksum', ContentMD5 })) {
    throw new Error('it stores objects whose checksum is wrong')
  }
  return 'an object with a wrong one was refused'
}

/** False when the server refused to because of a condition or a checksum. */
function isStored(
  { bucket: { name: Bucket, client, sending }, key }: Bench,
  { name, ...conditions }: { name: string; IfNoneMatch?: string; ContentMD5?: string },
): Promise<boolean> {
  const command = new PutObjectCommand({ Bucket, Key: key(name), Body: 'probe', ...conditions })
  return call('write an object', async () => {
    try {
      await client.send(command, sending)
      return true
    } catch (error) {
      if (hasStatus(error, 400, 409, 412) && !refusesUs(error)) return false
      throw error
    }
  })
}

/** From the header of an answer, which is exact to a second. */
async function timeOfServer({
  bucket: { name: Bucket, client, sending },
  corner,
}: Bench): Promise<number> {
  let date: unknown
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      date = (result.response as { headers?: Record<string, string> }).headers?.date
      return result
    },
    { step: 'deserialize', name: 'timeOfServer', override: true },
  )
  const command = new ListObjectsV2Command({ Bucket, Prefix: corner, MaxKeys: 1 })
  await call('list objects', () => client.send(command, sending))
  return Date.parse(String(date)) + 500
}
