import { DrayError, errorMessage, isErrno } from '#oci/error.ts'
import { isBucketFull } from '../errors.ts'
import { hasStatus } from './bucket.ts'

/** What answers of S3 mean that say more by their code than by their status. */
const BY_CODE: ReadonlyMap<string, string> = new Map(
  Object.entries({
    InvalidAccessKeyId:
      'does not know our access key: correct AWS_ACCESS_KEY_ID, or where else the AWS SDK finds it',
    SignatureDoesNotMatch:
      'refuses our signature: correct AWS_SECRET_ACCESS_KEY, or where else the AWS SDK finds it',
    ExpiredToken: 'refuses our session token, which has expired: get new credentials',
    InvalidToken: 'refuses our session token: correct AWS_SESSION_TOKEN, or get new credentials',
    RequestTimeTooSkewed: 'refuses our clock: set the time of this machine, or of the server',
    AuthorizationHeaderMalformed: 'is in another region: correct s3.region',
  }),
)

/** Codes of OpenSSL for certificates that no CA of ours has signed. */
const UNKNOWN_CA = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]

/** An error of a call to S3, in words that say what to change. Others stay as they are. */
export function explained(
  error: unknown,
  place: string,
  permissions: readonly string[] = [],
): unknown {
  const cause = error instanceof DrayError ? error.cause : error
  const invalid = (why: string) => new DrayError('CONFIG_INVALID', `${place} ${why}`, { cause })
  const { $metadata, name = '' } = (cause ?? {}) as Failure
  if (isBucketFull(cause)) return invalid('is full: make room, or raise its quota')
  const refusal = BY_CODE.get(name)
  if (refusal !== undefined) return invalid(refusal)
  if (hasStatus(cause, 404)) {
    return invalid('does not exist: create it (aws s3api create-bucket), or correct s3.bucket')
  }
  if (hasStatus(cause, 401, 403)) {
    return invalid(`refuses our credentials: they need ${permissions.join(' and ')}`)
  }
  if (hasStatus(cause, 301, 307)) return invalid('is in another region: correct s3.region')
  if (name === 'CredentialsProviderError') {
    return new DrayError(
      'CONFIG_INVALID',
      'no S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another source of the AWS SDK',
      { cause },
    )
  }
  if (!(error instanceof DrayError) || cause === undefined) return error
  if ($metadata?.httpStatusCode !== undefined) {
    return invalid(`answers ${$metadata.httpStatusCode} (${name}) where it should not`)
  }
  return new DrayError(
    'STORAGE_FAILED',
    `${place} cannot be reached (${reasonOf(cause)}): ${nextStep(cause)}`,
    { cause, retryable: true },
  )
}

/** Whether an answer is about who asks, where and when, whatever was asked. */
export function refusesUs(error: unknown): boolean {
  return error instanceof Error && BY_CODE.has(error.name)
}

function reasonOf(cause: unknown): string {
  if (isErrno(cause, 'EPROTO')) return 'it does not speak TLS'
  if (isErrno(cause, ...UNKNOWN_CA)) return 'its certificate is of a CA that is not known here'
  return errorMessage(cause) || 'no answer'
}

function nextStep(cause: unknown): string {
  return isErrno(cause, ...UNKNOWN_CA)
    ? 'name its CA in NODE_EXTRA_CA_CERTS'
    : 'see whether it runs, or correct s3.endpoint'
}

interface Failure {
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly name?: string
}
