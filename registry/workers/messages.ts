import type { Digest } from '#oci/digest.ts'
import { DrayError, type ErrorCode, isDrayError } from '#oci/error.ts'
import type { RegistryConfig } from '../config.ts'
import type { Counts } from '../metrics/metrics.ts'
import type { DigestQuestion } from '../storage/running-hashes.ts'

/** What the primary tells a worker. */
export type Order =
  | {
      readonly type: 'start'
      readonly config: RegistryConfig
      /** From 1. */
      readonly worker: number
      /** Whether this one does what must be done once on the machine. */
      readonly isLead: boolean
    }
  /** To take the rules of this configuration. */
  | { readonly type: 'reload'; readonly config: RegistryConfig }
  /** To tell what it has counted. */
  | { readonly type: 'count'; readonly id: number }
  /** To say what it knows of an upload. */
  | { readonly type: 'digest?'; readonly id: number; readonly question: DigestQuestion }
  /** What the others know of the upload that it has asked for. */
  | { readonly type: 'digest'; readonly id: number; readonly digest: Digest | undefined }
  | { readonly type: 'stop' }

/** What a worker tells the primary. */
export type Report =
  /** It is ready to be told what to do. */
  | { readonly type: 'hello' }
  | { readonly type: 'listening'; readonly url: string; readonly port: number }
  | { readonly type: 'counts'; readonly id: number; readonly counts: Counts }
  /** It wants to know what the others know of an upload. */
  | { readonly type: 'digest?'; readonly id: number; readonly question: DigestQuestion }
  | { readonly type: 'digest'; readonly id: number; readonly digest: Digest | undefined }
  | { readonly type: 'failed'; readonly error: SentError }

/** An error on its way to another process, where its class would be lost. */
export interface SentError {
  readonly code?: ErrorCode | undefined
  readonly message: string
  readonly stack?: string | undefined
}

export function packError(error: unknown): SentError {
  if (!(error instanceof Error)) return { message: String(error) }
  const { message, stack } = error
  return { code: isDrayError(error) ? error.code : undefined, message, stack }
}

export function unpackError({ code, message, stack }: SentError): Error {
  const error = code === undefined ? new Error(message) : new DrayError(code, message)
  if (stack !== undefined) error.stack = stack
  return error
}
