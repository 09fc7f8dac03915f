/**
 * How many bytes of a growing file are there from its start without a gap, shared between threads, and how many its reader
 * waits for: two 64-bit numbers. There is one reader; it is woken only when there is enough, since most of what comes in
 * parallel is of no use to it yet.
 */
export type Prefix = SharedArrayBuffer

const ABANDONED = -1n

const THERE = 0
const WANTED = 1

export function createPrefix(length = 0): Prefix {
  const prefix = new SharedArrayBuffer(16)
  cellsOf(prefix)[THERE] = BigInt(length)
  return prefix
}

/** Tells the reader that `length` bytes are there. */
export function growPrefix(prefix: Prefix, length: number): void {
  const cells = cellsOf(prefix)
  Atomics.store(cells, THERE, BigInt(length))
  if (BigInt(length) >= Atomics.load(cells, WANTED)) Atomics.notify(cells, THERE)
}

/** Tells the reader that the rest will not come. */
export function abandonPrefix(prefix: Prefix): void {
  const cells = cellsOf(prefix)
  Atomics.store(cells, THERE, ABANDONED)
  Atomics.notify(cells, THERE)
}

/** Waits until at least `length` bytes are there. @returns how many; undefined when the rest will not come */
export async function waitFor(prefix: Prefix, length: number): Promise<number | undefined> {
  const cells = cellsOf(prefix)
  // Before it looks what is there, or the writer might not see that it waits.
  Atomics.store(cells, WANTED, BigInt(length))
  for (;;) {
    const now = Atomics.load(cells, THERE)
    if (now === ABANDONED) return undefined
    if (now >= BigInt(length)) return Number(now)
    const waiting = Atomics.waitAsync(cells, THERE, now)
    if (waiting.async) await waiting.value
  }
}

function cellsOf(prefix: Prefix): BigInt64Array<SharedArrayBuffer> {
  return new BigInt64Array(prefix)
}
