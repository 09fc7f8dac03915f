/** Memory for one part, lent to one writer. */
export interface PartBuffer {
  readonly bytes: Buffer
  /** Says that the part is on its way to the store, so that its memory will be given back soon. */
  seal(): void
  /** Gives the memory back. Done once. */
  release(): void
}

/**
 * The memory of a process for parts on their way to the store, whatever the number of its uploads. Who wants more of it
 * waits, and with it the client whose bytes would have gone there.
 */
export interface PartBuffers {
  /** @param recall called when others wait and the part wasn't sealed for too long: seal and release it now */
  take(recall: () => void): Promise<PartBuffer>
}

export interface PartBuffersOptions {
  readonly partSize: number
  readonly count: number
  /** How long a slow client may keep others waiting. Default: 5 s. */
  readonly holdMs?: number | undefined
}

interface Lease {
  readonly since: number
  readonly recall: () => void
}

export function createPartBuffers(options: PartBuffersOptions): PartBuffers {
  const { partSize, count, holdMs = 5000 } = options
  const spare: Buffer[] = []
  let made = 0
  /** In the order in which they asked. */
  const waiting: ((bytes: Buffer) => void)[] = []
  /** Lent and not sealed, the oldest first. */
  const filling = new Set<Lease>()
  let timer: NodeJS.Timeout | undefined

  function lend(bytes: Buffer, recall: () => void): PartBuffer {
    const lease = { since: performance.now(), recall }
    filling.add(lease)
    return {
      bytes,
      seal: () => void filling.delete(lease),
      release() {
        filling.delete(lease)
        const next = waiting.shift()
        if (next === undefined) spare.push(bytes)
        else next(bytes)
      },
    }
  }

  function recallOldest(): void {
    const before = performance.now() - holdMs
    const old = [...filling].filter(({ since }) => since <= before).slice(0, waiting.length)
    for (const lease of old) {
      filling.delete(lease)
      lease.recall()
    }
    timer = waiting.length === 0 ? undefined : startTimer()
  }

  function startTimer(): NodeJS.Timeout {
    return setTimeout(recallOldest, holdMs / 4).unref()
  }

  return {
    async take(recall) {
      const bytes = spare.pop()
      if (bytes !== undefined) return lend(bytes, recall)
      if (made < count) {
        made++
        return lend(Buffer.allocUnsafeSlow(partSize), recall)
      }
      if (timer === undefined) timer = startTimer()
      return lend(await new Promise<Buffer>((resolve) => waiting.push(resolve)), recall)
    },
  }
}
