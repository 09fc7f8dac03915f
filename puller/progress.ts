import type { Descriptor } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'

/**
 * What a pull or push tells while it runs. A `blob` event says how far one blob is; `state` only moves forward:
 * `waiting`, `transferring`, `finishing` (all bytes are there, the rest of the work is not), then `done` or
 * `exists` (nothing had to be transferred).
 */
export type ProgressEvent =
  | {
      readonly type: 'resolved'
      readonly reference: string
      readonly digest: Digest
      readonly platform?: string
    }
  | {
      readonly type: 'blob'
      readonly digest: Digest
      readonly kind: 'layer' | 'config' | 'manifest'
      readonly state: 'waiting' | 'transferring' | 'finishing' | 'done' | 'exists'
      /** Bytes that are there. */
      readonly bytes: number
      /** Bytes of the blob. */
      readonly total: number
    }
  | { readonly type: 'saving' }
  | { readonly type: 'warning'; readonly message: string }

export type OnProgress = (event: ProgressEvent) => void

type BlobEvent = ProgressEvent & { readonly type: 'blob' }

/** Tells how far one blob is. */
export function blobReporter(
  onProgress: OnProgress,
  { digest, size: total }: Descriptor,
  kind: BlobEvent['kind'],
): (state: BlobEvent['state'], bytes: number) => void {
  return (state, bytes) => onProgress({ type: 'blob', digest, kind, state, bytes, total })
}
