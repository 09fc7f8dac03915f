import { type FileHandle, open } from 'node:fs/promises'
import type { ByteSource, UploadKey } from '../blob-driver.ts'
import { blocksOf, watchSource } from '../blocks.ts'
import { isDiskFull, storageFailed } from '../errors.ts'
import { type RunningHash, type RunningHashes, startHash } from '../running-hashes.ts'
import { claimUpload, releaseClaim } from './claims.ts'
import type { FilesLayout } from './layout.ts'

const BLOCK = 256 * 1024

interface Append {
  readonly layout: FilesLayout
  readonly hashes: RunningHashes
  readonly key: UploadKey
  readonly offset: number
  readonly source: ByteSource
  readonly signal: AbortSignal | undefined
}

interface Progress {
  size: number
  running: RunningHash | undefined
}

/** `BlobUploads.append` on files: claim, write, give back under the new size, also when the source fails. */
export async function appendToFile(append: Append): Promise<number> {
  const { layout, hashes, key, offset } = append
  const claim = await claimUpload(layout, key, offset)
  const running = hashes.take(key, offset) ?? (offset === 0 ? startHash() : undefined)
  const progress: Progress = { size: offset, running }
  try {
    const handle = await open(claim.path, 'r+')
    try {
      await writeSource(handle, progress, append)
    } finally {
      await handle.close()
    }
  } finally {
    if (progress.running !== undefined) {
      hashes.keep(key, { ...progress.running, size: progress.size })
    }
    await releaseClaim(layout, key, claim.path, progress.size)
  }
  return progress.size
}

/** `progress` tells at any time what has been written and hashed. */
async function writeSource(
  handle: FileHandle,
  progress: Progress,
  { offset, source, signal }: Append,
): Promise<void> {
  const watched = watchSource(source)
  for await (const block of blocksOf(watched.bytes, BLOCK)) {
    signal?.throwIfAborted()
    const written = writeFully(handle, block, progress.size)
    progress.running?.hash.update(block)
    try {
      await written
    } catch (error) {
      progress.running = undefined
      // What nobody was told of is given up: a client that never comes back would fill the disk for all others.
      if (isDiskFull(error)) {
        await handle.truncate(offset)
        progress.size = offset
      }
      throw storageFailed('write to an upload', error)
    }
    progress.size += block.length
  }
  watched.rethrow()
}

async function writeFully(handle: FileHandle, block: Buffer, position: number): Promise<void> {
  for (let at = 0; at < block.length; ) {
    const { bytesWritten } = await handle.write(block, at, block.length - at, position + at)
    at += bytesWritten
  }
}
