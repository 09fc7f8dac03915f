import type { FileHandle } from 'node:fs/promises'

/** The fewest calls for the least memory: with 256 KiB one download has 0.7 of the rate, and with 1 MiB many have no more. */
const BLOCK = 512 * 1024

/**
 * Reads a file from `start` to `end` (inclusive), or to its end, and closes it. Two blocks of memory are used in turn:
 * one is filled while the other one is in use, until the next is asked for.
 */
export async function* readBlocks(
  handle: FileHandle,
  { start, end }: { readonly start: number; readonly end: number },
): AsyncGenerator<Uint8Array> {
  let position = start
  const newBlock = () => Buffer.allocUnsafeSlow(Math.min(BLOCK, end - start + 1))
  const fill = (block: Buffer) =>
    handle.read(block, 0, Math.min(block.length, end - position + 1), position)
  let filling = fill(newBlock())
  let spare: Buffer | undefined
  try {
    for (;;) {
      const { bytesRead, buffer } = await filling
      if (bytesRead === 0) return
      position += bytesRead
      if (position <= end) filling = fill(spare ?? newBlock())
      yield buffer.subarray(0, bytesRead)
      if (position > end) return
      spare = buffer
    }
  } finally {
    // One may be under way that nobody waits for any more.
    await filling.catch(() => {})
    await handle.close()
  }
}
