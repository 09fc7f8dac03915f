import type { Digest } from './digest.ts'
import type { ImageConfig } from './image-config.ts'

/** What the puller hands to the runner: directories to stack, and how to run what they hold. Plain data. */
export interface Rootfs {
  /** Digest of the manifest that these layers come from. */
  readonly manifestDigest: Digest
  readonly config: ImageConfig
  /** Absolute paths of read-only directories, lowest first, whiteouts in overlay's form. */
  readonly lowerDirs: readonly string[]
}
