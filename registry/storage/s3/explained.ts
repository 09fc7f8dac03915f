import { DrayError } from '#oci/error.ts'
import { hasStatus } from './bucket.ts'

/** An error of a call to S3, in words that say what to change. Others stay as they are. */
export function explained(
  error: unknown,
  place: string,
  permissions: readonly string[] = [],
): unknown {
  const cause = error instanceof DrayError ? error.cause : error
  const invalid = (why: string) => new DrayError('CONFIG_INVALID', `${place} ${why}`, { cause })
  if (hasStatus(cause, 404)) {
    return invalid('does not exist: create it (aws s3api create-bucket), or correct s3.bucket')
  }
  if (hasStatus(cause, 401, 403)) {
    return invalid(`refuses our credentials: they need ${permissions.join(' and ')}`)
  }
  if (hasStatus(cause, 301, 307)) return invalid('is in another region: correct s3.region')
  if ((cause as Error | undefined)?.name === 'CredentialsProviderError') {
    return new DrayError(
      'CONFIG_INVALID',
      'no S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another source of the AWS SDK',
      { cause },
    )
  }
  if (!(error instanceof DrayError) || cause === undefined) return error
  const { $metadata, name } = cause as { $metadata?: { httpStatusCode?: number }; name?: string }
  if ($metadata?.httpStatusCode !== undefined) {
    return invalid(`answers ${$metadata.httpStatusCode} (${name}) where it should not`)
  }
  return new DrayError('STORAGE_FAILED', `${place} cannot be reached`, { cause, retryable: true })
}
