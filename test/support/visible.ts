import { globSync } from 'node:fs'
import type { Store } from '#puller/index.ts'

/** Everything in the store that a pull could have made visible. */
export function visible(store: Store): string[] {
  return globSync('{content/blobs/*/*,layers/*/*,fixups/*/*}', { cwd: store.layout.root }).sort()
}
