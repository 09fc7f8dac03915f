/**
 * How many bytes of a growing file are there from its start without a gap, shared between threads: one 64-bit
 * number. A reader waits for it to grow; the writer says when no more will come.
 */
export type Prefix = SharedArrayBuffer

const ABANDONED = -1n

export function createPrefix(length = 0): Prefix {
  const prefix = new SharedArrayBuffer(8)
  new BigInt64Array(prefix)[0] = BigInt(length)
  return prefix
}

/** Tells readers that `length` bytes are there. */
export function growPrefix(prefix: Prefix, length: number): void {
  set(prefix, BigInt(length))
}

/** Tells readers that the rest will not come. */
export function abandonPrefix(prefix: Prefix): void {
  set(prefix, ABANDONED)
}

/** Waits until more than `length` bytes are there. @returns how many; undefined when the rest will not come */
export async function waitBeyond(prefix: Prefix, length: number): Promise<number | undefined> {
  const cell = new BigInt64Array(prefix)
  for (;;) {
    const now = Atomics.load(cell, 0)
    if (now === ABANDONED) return undefined
    if (now > BigInt(length)) return Number(now)
    const waiting = Atomics.waitAsync(cell, 0, now)
    if (waiting.async) await waiting.value
  }
}

function set(prefix: Prefix, value: bigint): void {
  const cell = new BigInt64Array(prefix)
  Atomics.store(cell, 0, value)
  Atomics.notify(cell, 0)
}
