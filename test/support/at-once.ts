import type { ServerResponse } from 'node:http'

/** Counts answers that are under way at the same time. */
export interface AtOnce {
  add(response: ServerResponse): void
  /** The most that there were. */
  most(): number
}

export function countAtOnce(): AtOnce {
  let [now, most] = [0, 0]
  return {
    add(response) {
      most = Math.max(most, ++now)
      let isOver = false
      const end = () => {
        if (!isOver) now--
        isOver = true
      }
      response.once('finish', end).once('close', end)
    },
    most: () => most,
  }
}
