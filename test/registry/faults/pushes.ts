import assert from 'node:assert/strict'
import { type Digest, digestOf } from '#oci/digest.ts'
import { isDrayError } from '#oci/error.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parseRepositoryName, parseTag } from '#oci/reference.ts'
import type { Services } from '#registry/services/services.ts'
import { piecesOf } from '../../support/streams.ts'

export const REPOSITORY = parseRepositoryName('team/app')
const PLACE = { name: REPOSITORY }

/** A change, and what must be there beforehand. */
export interface Scenario {
  readonly given: readonly Change[]
  readonly change: Change
}

/** One change that a client makes, in one or more requests. Doing it again is what a client does after a failure. */
export interface Change {
  readonly name: string
  run(services: Services): Promise<void>
  /** Whether readers see the change, whole. */
  isSeen(services: Services): Promise<boolean>
}

/** Several changes, one after the other, as one. */
export function inTurn(name: string, changes: readonly Change[]): Scenario {
  const change: Change = {
    name,
    async run(services) {
      for (const { run } of changes) await run(services)
    },
    async isSeen(services) {
      for (const { isSeen } of changes) if (!(await isSeen(services))) return false
      return true
    },
  }
  return { given: [], change }
}

/** A blob by POST and PUT. */
export function pushByPut(name: string, bytes: Buffer): Change {
  return blobChange(name, bytes, async ({ uploads }, digest) => {
    const id = await uploads.start(PLACE)
    await uploads.finish(PLACE, id, digest, { source: piecesOf(bytes) })
  })
}

/** A blob by a single POST. */
export function pushByPost(name: string, bytes: Buffer): Change {
  return blobChange(name, bytes, ({ uploads }, digest) =>
    uploads.push(REPOSITORY, digest, piecesOf(bytes)),
  )
}

/** A blob by POST, a PATCH for each chunk of the given sizes, and a PUT without bytes. */
export function pushByPatches(name: string, bytes: Buffer, sizes: readonly number[]): Change {
  return blobChange(name, bytes, async ({ uploads }, digest) => {
    const id = await uploads.start(PLACE)
    let at = 0
    for (const size of sizes) {
      const chunk = bytes.subarray(at, at + size)
      const range = { start: at, end: at + chunk.length - 1 }
      at = await uploads.append(PLACE, id, { source: piecesOf(chunk), range })
    }
    await uploads.finish(PLACE, id, digest)
  })
}

/** The same by a client that asks where its upload stands when a request failed, and goes on from there. */
export function pushByResuming(name: string, bytes: Buffer, size: number): Change {
  return blobChange(name, bytes, async ({ uploads }, digest) => {
    const id = await retried(() => uploads.start(PLACE))
    for (let at = 0; at < bytes.length; ) {
      const source = piecesOf(bytes.subarray(at, at + size))
      const range = { start: at, end: Math.min(at + size, bytes.length) - 1 }
      at = await uploads
        .append(PLACE, id, { source, range })
        .catch(() => retried(() => uploads.status(PLACE, id)))
    }
    await retried(() => uploads.finish(PLACE, id, digest))
  })
}

/** A blob that another repository has. */
export function mountBlob(bytes: Buffer): { readonly given: Change; readonly change: Change } {
  const from = parseRepositoryName('team/source')
  const given = blobChange('given', bytes, ({ uploads }, digest) =>
    uploads.push(from, digest, piecesOf(bytes)),
  )
  const change = blobChange('a mount', bytes, async ({ uploads }, digest) => {
    assert.ok(await uploads.mount(REPOSITORY, digest, { from, mayRead: () => true }))
  })
  return { given, change }
}

/** A manifest of the given blobs, by a tag. */
export function pushManifest(name: string, tag: string, blobs: readonly Buffer[]): Change {
  const bytes = manifestOf(name, blobs)
  const selector = { tag: parseTag(tag) }
  return {
    name,
    async run({ manifests }) {
      await manifests.put(REPOSITORY, {
        ...{ selector, bytes, contentType: MEDIA_TYPE.ociManifest, mayOverwrite: true },
      })
    },
    async isSeen({ manifests }) {
      const found = await found404(manifests.get(REPOSITORY, selector))
      return found !== undefined && bytes.equals(found.bytes)
    },
  }
}

export function manifestOf(name: string, blobs: readonly Buffer[]): Buffer {
  const descriptorOf = (mediaType: string, blob: Buffer) => ({
    mediaType,
    digest: digestOf(blob),
    size: blob.length,
  })
  const [config = Buffer.alloc(0), ...layers] = blobs
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      config: descriptorOf(MEDIA_TYPE.ociConfig, config),
      layers: layers.map((layer) => descriptorOf(MEDIA_TYPE.ociLayerGzip, layer)),
      annotations: { name },
    }),
  )
}

/** The end of a tag, of a manifest and of a blob: each is seen when it can't be found any more. */
export function deleteTag(tag: string): Change {
  const selector = { tag: parseTag(tag) }
  return deletion(`delete tag ${tag}`, {
    run: ({ manifests }) => manifests.delete(REPOSITORY, selector),
    find: ({ manifests }) => manifests.get(REPOSITORY, selector),
  })
}

export function deleteManifest(bytes: Buffer): Change {
  const selector = { digest: digestOf(bytes) }
  return deletion('delete a manifest', {
    run: ({ manifests }) => manifests.delete(REPOSITORY, selector),
    find: ({ manifests }) => manifests.get(REPOSITORY, selector),
  })
}

export function deleteBlob(bytes: Buffer): Change {
  const digest = digestOf(bytes)
  return deletion('delete a blob', {
    run: ({ blobs }) => blobs.delete(REPOSITORY, digest),
    find: ({ blobs }) => blobs.stat(REPOSITORY, digest),
  })
}

interface Deletion {
  run(services: Services): Promise<void>
  find(services: Services): Promise<unknown>
}

/** Repeating it finds nothing left to do. */
function deletion(name: string, { run, find }: Deletion): Change {
  return {
    name,
    run: async (services) => void (await found404(run(services))),
    isSeen: async (services) => (await found404(find(services))) === undefined,
  }
}

function blobChange(
  name: string,
  bytes: Buffer,
  push: (services: Services, digest: Digest) => Promise<void>,
): Change {
  const digest = digestOf(bytes)
  return {
    name,
    run: (services) => push(services, digest),
    async isSeen({ blobs }) {
      const found = await found404(blobs.stat(REPOSITORY, digest))
      if (found?.size !== bytes.length) return false
      return bytes.equals(Buffer.concat(await Array.fromAsync(await blobs.read(digest))))
    },
  }
}

async function retried<T>(request: () => Promise<T>): Promise<T> {
  try {
    return await request()
  } catch (error) {
    if (!isDrayError(error) || !error.retryable) throw error
    return request()
  }
}

async function found404<T>(finding: Promise<T>): Promise<T | undefined> {
  try {
    return await finding
  } catch (error) {
    if (isDrayError(error, 'BLOB_UNKNOWN', 'MANIFEST_UNKNOWN')) return undefined
    throw error
  }
}
