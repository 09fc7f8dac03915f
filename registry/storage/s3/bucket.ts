import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import type { Observer } from '../../metrics/observer.ts'
import { storageFailed } from '../errors.ts'

export interface BucketOptions {
  readonly bucket: string
  /** URL of an S3 server other than Amazon's. */
  readonly endpoint?: string | undefined
  readonly region: string
  /** Whether the bucket stands in the path of a URL, not in its host name. */
  readonly pathStyle: boolean
  /** Default: those that the AWS SDK finds in environment, files or instance. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string }
  /** Counts calls. Default: nobody does. */
  readonly observer?: Observer | undefined
  /** How long a connection may be silent before its call is made again. Default: 30 s. */
  readonly idleTimeoutMs?: number | undefined
}

/** A bucket, and the connection to its server. */
export interface Bucket {
  readonly name: string
  readonly client: S3Client
  /** Given to every call, so that `close` ends those that hang. */
  readonly sending: { readonly abortSignal: AbortSignal }
  close(): void
}

const ATTEMPTS = 4
const CONNECT_TIMEOUT_MS = 5000
const IDLE_TIMEOUT_MS = 30_000
const SOCKETS = 512

export function openBucket(options: BucketOptions): Bucket {
  const client = new S3Client(clientConfig(options))
  if (options.observer !== undefined) countCalls(client, options.observer)
  const closing = new AbortController()
  return {
    name: options.bucket,
    client,
    sending: { abortSignal: closing.signal },
    close() {
      closing.abort()
      client.destroy()
    },
  }
}

function countCalls(client: S3Client, observer: Observer): void {
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      async (args) => {
        const started = performance.now()
        const count = ({ $metadata }: Answered) =>
          observer.s3Called({
            operation: commandName.replace(/Command$/, ''),
            status: String($metadata?.httpStatusCode ?? 'none'),
            attempts: $metadata?.attempts ?? 1,
            seconds: (performance.now() - started) / 1000,
          })
        try {
          const result = await next(args)
          count(result.output)
          return result
        } catch (error) {
          count(error as Answered)
          throw error
        }
      },
    { step: 'initialize', name: 'countCalls' },
  )
}

/** What the SDK adds to results and errors alike. */
interface Answered {
  readonly $metadata?: { readonly httpStatusCode?: number; readonly attempts?: number }
}

/** How clients of any use are set up. */
export function clientConfig(options: BucketOptions): S3ClientConfig {
  const agent = { maxSockets: SOCKETS }
  return {
    region: options.region,
    forcePathStyle: options.pathStyle,
    maxAttempts: ATTEMPTS,
    // Servers other than Amazon's refuse streams with trailing checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: options.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
      httpAgent: agent,
      httpsAgent: agent,
    },
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
  }
}

/** Makes a call and names it when it fails. @throws STORAGE_FAILED */
export async function call<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw storageFailed(what, error)
  }
}

/** The same, for a call whose answer may be that there is no such thing. @throws STORAGE_FAILED */
export async function lookUp<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
  return call(what, async () => {
    try {
      return await work()
    } catch (error) {
      if (hasStatus(error, 404)) return undefined
      throw error
    }
  })
}

/** Whether an error of the SDK is an answer of the server with one of these statuses. */
export function hasStatus(error: unknown, ...statuses: readonly number[]): boolean {
  const metadata = (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata
  return metadata?.httpStatusCode !== undefined && statuses.includes(metadata.httpStatusCode)
}
