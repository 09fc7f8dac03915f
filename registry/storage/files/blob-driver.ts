import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Digest, digestAlgorithm } from '#oci/digest.ts'
import { isDrayError, isErrno } from '#oci/error.ts'
import { syncPath } from '#oci/sync-path.ts'
import type { BlobDriver, ByteRange, UploadKey } from '../blob-driver.ts'
import { blobUnknown, storageFailed, uploadUnknown } from '../errors.ts'
import { createRunningHashes, type HashPeers, startHash } from '../running-hashes.ts'
import { verifyDigest } from '../verify.ts'
import { appendToFile } from './append.ts'
import { claimUpload, releaseClaim, uploadStanding } from './claims.ts'
import { type FilesLayout, filesLayout } from './layout.ts'
import { readBlocks } from './read.ts'

const WHOLE: ByteRange = { start: 0, end: Number.POSITIVE_INFINITY }

/**
 * Keeps blobs as files below `dataDir`, which must be one file system of one machine. Any number of its processes
 * may share it that see each other in `/proc`: containers with process numbers of their own may not, since each would
 * take the uploads of the others for those of dead processes.
 */
export async function openFilesBlobDriver(
  dataDir: string,
  { peers }: { readonly peers?: HashPeers | undefined } = {},
): Promise<BlobDriver> {
  const layout = filesLayout(dataDir)
  for (const dir of [layout.blobs, layout.uploads, layout.trash]) {
    await mkdir(dir, { recursive: true, mode: 0o700 })
  }
  const driver = createDriver(layout, peers)
  return {
    ...driver,
    stat: (digest) => guarded('look at a blob', () => driver.stat(digest)),
    read: (digest, range) => guarded('read a blob', () => driver.read(digest, range)),
    put: (...args) => guarded('write a blob', () => driver.put(...args)),
    delete: (digest) => guarded('delete a blob', () => driver.delete(digest)),
    createUpload: (...args) => guarded('start an upload', () => driver.createUpload(...args)),
    uploadSize: (key) => guarded('look at an upload', () => driver.uploadSize(key)),
    append: (...args) => guarded('write to an upload', () => driver.append(...args)),
    commit: (...args) => guarded('commit an upload', () => driver.commit(...args)),
    abort: (key) => guarded('end an upload', () => driver.abort(key)),
    expireUploads: (idleMs) => guarded('expire uploads', () => driver.expireUploads(idleMs)),
  }
}

function createDriver(layout: FilesLayout, peers: HashPeers | undefined): BlobDriver {
  const hashes = createRunningHashes(peers)
  const driver: BlobDriver = {
    stat: async (digest) => statFile(layout.blob(digest)),
    async read(digest, range) {
      const handle = await open(layout.blob(digest)).catch((error: unknown) => {
        throw isErrno(error, 'ENOENT') ? blobUnknown(digest) : error
      })
      return readBlocks(handle, range ?? WHOLE)
    },
    async put(digest, source, options) {
      const key = `put-${randomUUID()}` as UploadKey
      await driver.createUpload(key, { algorithm: digestAlgorithm(digest) })
      try {
        await driver.append(key, 0, source, options)
        return await driver.commit(key, digest, options)
      } catch (error) {
        await driver.abort(key)
        throw error
      }
    },
    delete: (digest) => rm(layout.blob(digest), { force: true }),
    async createUpload(key, options = {}) {
      await mkdir(layout.upload(key))
      await writeFile(layout.uploadFile(key, '0'), '', { flag: 'wx' })
      hashes.keep(key, startHash(options.algorithm))
    },
    uploadSize: async (key) => (await uploadStanding(layout, key))?.size,
    append: (key, offset, source, { signal } = {}) =>
      appendToFile({ layout, hashes, key, offset, source, signal }),
    async commit(key, digest) {
      const standing = await uploadStanding(layout, key)
      if (standing === undefined) throw uploadUnknown()
      const claim = await claimUpload(layout, key, standing.size)
      try {
        const { path, size } = claim
        await verifyDigest(digest, { key, size }, hashes, () => createReadStream(path))
        await publish(layout, claim.path, digest)
      } catch (error) {
        if (isDrayError(error, 'DIGEST_INVALID')) await driver.abort(key)
        else await releaseClaim(layout, key, claim.path, claim.size).catch(() => {})
        throw error
      }
      await rmdir(layout.upload(key)).catch(() => {})
      return claim.size
    },
    async abort(key) {
      hashes.drop(key)
      await discard(layout, key)
    },
    async expireUploads(idleMs) {
      for (const name of await readdir(layout.trash)) await removeTree(join(layout.trash, name))
      for (const name of await readdir(layout.uploads)) {
        const key = name as UploadKey
        if (await isIdle(layout, key, Date.now() - idleMs)) await driver.abort(key)
      }
    },
    async close() {},
  }
  return driver
}

async function statFile(path: string): Promise<{ size: number } | undefined> {
  try {
    const { size } = await stat(path)
    return { size }
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Makes a verified file the blob. The rename is the moment of visibility; an equal blob of another upload is replaced. */
async function publish(layout: FilesLayout, path: string, digest: Digest): Promise<void> {
  await syncPath(path)
  const target = layout.blob(digest)
  const dir = dirname(target)
  const isNewDir = (await mkdir(dir, { recursive: true })) !== undefined
  await rename(path, target).catch((error: unknown) => {
    throw isErrno(error, 'ENOENT') ? uploadUnknown() : error
  })
  await syncPath(dir)
  if (isNewDir) for (const parent of [dirname(dir), layout.blobs]) await syncPath(parent)
}

/** The rename takes the upload from every other request at once. */
async function discard(layout: FilesLayout, key: UploadKey): Promise<void> {
  const trash = join(layout.trash, randomUUID())
  try {
    await rename(layout.upload(key), trash)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return
    throw error
  }
  await removeTree(trash)
}

async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true })
}

async function isIdle(layout: FilesLayout, key: UploadKey, before: number): Promise<boolean> {
  const standing = await uploadStanding(layout, key)
  if (standing?.isClaimed) return false
  const path = standing === undefined ? layout.upload(key) : layout.uploadFile(key, standing.name)
  try {
    return (await stat(path)).mtimeMs <= before
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}

async function guarded<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Error && 'errno' in error) throw storageFailed(what, error)
    throw error
  }
}
