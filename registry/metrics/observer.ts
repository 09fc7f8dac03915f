/** Is told what happens, to count it. */
export interface Observer {
  requestBegan(): void
  requestEnded(request: EndedRequest): void
  s3Called(call: S3Call): void
}

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
