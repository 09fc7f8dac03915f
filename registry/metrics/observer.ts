/** Is told what happens, to count it. */
export interface Observer {
  requestBegan(): void
  requestEnded(request: EndedRequest): void
  requestRefused(reason: RefusalReason): void
  s3Called(call: S3Call): void
}

/** Why a request was refused: nobody logged in, a log-in failed, the rules, a limit. */
export type RefusalReason = 'anonymous' | 'credentials' | 'denied' | 'limit'

export interface EndedRequest {
  readonly method: string
  /** Name of the endpoint; `other` for paths that are none. */
  readonly route: string
  readonly status: number
  readonly seconds: number
  /** Bytes on the wire, headers included. */
  readonly received: number
  readonly sent: number
}

/** One call as the registry sees it, over all attempts. */
export interface S3Call {
  /** Such as `GetObject`. */
  readonly operation: string
  /** HTTP status of the last answer; `none` when there was none. */
  readonly status: string
  readonly attempts: number
  readonly seconds: number
}
