import assert from 'node:assert/strict'
import { type Digest, digestAlgorithm, digestOf, parseDigest } from '#oci/digest.ts'
import { parseManifest } from '#oci/manifest.ts'
import { createServices, type Services } from '#registry/services/services.ts'
import type { BlobDriver } from '#registry/storage/blob-driver.ts'
import type { Storage } from '#registry/storage/open-storage.ts'
import type { RecordDriver } from '#registry/storage/record-driver.ts'
import type { S3Layout } from '#registry/storage/s3/layout.ts'
import type { ObjectStore } from '#registry/storage/s3/object-store.ts'
import { createPointers } from '#registry/storage/s3/pointers.ts'
import type { Change } from './pushes.ts'

const ALL = { limit: 100_000 }
/** Expires uploads that were changed at any time until now, whatever the clocks say. */
const EVERYTHING_MS = -60_000

export function servicesOver({ content, records }: Storage): Services {
  return createServices(content, records, {
    ...{ missingReferences: 'refuse', immutableTags: {}, readOnly: false },
  })
}

/** Where a storage keeps its objects. */
export interface BucketView {
  readonly store: ObjectStore
  readonly layout: S3Layout
}

/**
 * Asserts that a store is legal in which a change was made, failed or was broken off, that making it (again) succeeds,
 * and that expiry leaves it and nothing else.
 */
export async function assertRecovers(
  storage: Storage,
  change: Change,
  bucket?: BucketView,
): Promise<void> {
  const services = servicesOver(storage)
  if (bucket !== undefined) await assertPointers(bucket, storage.content)
  await assertLegal(storage)
  await change.run(services)
  assert.ok(await change.isSeen(services), 'a second try is lost')
  // The first time ends uploads, the second time forgets them.
  for (let i = 0; i < 2; i++) await storage.content.expireUploads(EVERYTHING_MS)
  assert.ok(await change.isSeen(services), 'expiry took it')
  await assertLegal(storage)
  await assertNoStrayRecords(storage)
  if (bucket !== undefined) await assertNoRubbish(bucket)
}

/** Asserts that every tag leads to a manifest, each manifest to its blobs, and each blob to bytes of its digest. */
async function assertLegal({ content, records }: Storage): Promise<void> {
  for (const key of await records.list('blobs/', ALL)) await assertBlob(content, digestAtEnd(key))
  for (const key of await records.list('manifests/', ALL)) {
    const { bytes = new Uint8Array() } = (await records.get(key)) ?? {}
    const manifest = bytes.subarray(bytes.indexOf(10) + 1)
    assert.equal(digestOf(manifest), digestAtEnd(key))
    const parsed = parseManifest(manifest)
    assert.equal(parsed.kind, 'image')
    if (parsed.kind !== 'image') continue
    for (const { digest } of [parsed.config, ...parsed.layers]) {
      const link = key.replace('manifests/', 'blobs/').replace(digestAtEnd(key), digest)
      assert.ok(await records.get(link), `${key} refers to ${digest}, which its repository lacks`)
    }
  }
  await assertTags(records)
}

/** Asserts that no record speaks of a manifest that is gone. */
async function assertNoStrayRecords({ records }: Storage): Promise<void> {
  for (const key of await records.list('tagged/', ALL)) {
    const manifest = key.replace('tagged/', 'manifests/').replace(/\/[^/]+$/, '')
    assert.ok(await records.get(manifest), `${key} outlives its manifest`)
  }
  await assertTags(records)
}

async function assertTags(records: RecordDriver): Promise<void> {
  for (const key of await records.list('tags/', ALL)) {
    const digest = Buffer.from((await records.get(key))?.bytes ?? '').toString()
    const manifest = key.replace('tags/', 'manifests/').replace(/[^/]+$/, digest)
    assert.ok(await records.get(manifest), `${key} leads to ${digest}, which is no manifest`)
  }
}

async function assertBlob(content: BlobDriver, digest: Digest): Promise<void> {
  const bytes = Buffer.concat(await Array.fromAsync(await content.read(digest)))
  assert.equal(digestOf(bytes, digestAlgorithm(digest)), digest)
  assert.deepEqual(await content.stat(digest), { size: bytes.length })
}

function digestAtEnd(key: string): Digest {
  return parseDigest(key.slice(key.lastIndexOf('/') + 1))
}

/** Asserts that each pointer of a bucket leads to bytes of its digest, referred to or not. */
async function assertPointers({ store, layout }: BucketView, content: BlobDriver): Promise<void> {
  for (const digest of await pointedAt(store, layout)) await assertBlob(content, digest)
}

/** Asserts that a bucket in which no upload is open holds nothing but records, pointers and what these point to. */
async function assertNoRubbish({ store, layout }: BucketView): Promise<void> {
  const pointers = createPointers(store, layout, 1)
  const known = new Set<string>()
  for (const digest of await pointedAt(store, layout)) {
    known.add(layout.pointer(digest))
    for (const { key } of (await pointers.get(digest))?.segments ?? []) known.add(key)
  }
  const objects = await store.list(layout.root, ALL)
  const rubbish = objects
    .map(({ key }) => key)
    .filter((key) => !key.startsWith(layout.records) && !known.has(key))
  assert.deepEqual(rubbish, [])
  assert.deepEqual(await store.listMultiparts(layout.root), [])
}

async function pointedAt(store: ObjectStore, layout: S3Layout): Promise<readonly Digest[]> {
  const objects = await store.list(layout.pointers, ALL)
  return objects.map(({ key }) => {
    const [algorithm, hex] = key.slice(layout.pointers.length).split('/')
    return parseDigest(`${algorithm}:${hex}`)
  })
}
