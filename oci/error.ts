/**
 * Every failure that Dray reports, by code. Codes with a `status` can be a registry's answer; `wire` is the code
 * sent where ours is more precise than the fourteen of distribution-spec (section "Error Codes").
 */
export const ERRORS = {
  BLOB_UNKNOWN: { status: 404, message: 'blob unknown to registry' },
  BLOB_UPLOAD_INVALID: { status: 400, message: 'blob upload invalid' },
  BLOB_UPLOAD_UNKNOWN: { status: 404, message: 'blob upload unknown to registry' },
  DIGEST_INVALID: { status: 400, message: 'provided digest did not match uploaded content' },
  MANIFEST_BLOB_UNKNOWN: {
    status: 404,
    message: 'manifest references a manifest or blob unknown to registry',
  },
  MANIFEST_INVALID: { status: 400, message: 'manifest invalid' },
  MANIFEST_UNKNOWN: { status: 404, message: 'manifest unknown to registry' },
  NAME_INVALID: { status: 400, message: 'invalid repository name' },
  NAME_UNKNOWN: { status: 404, message: 'repository name not known to registry' },
  SIZE_INVALID: { status: 400, message: 'provided length did not match content length' },
  UNAUTHORIZED: { status: 401, message: 'authentication required' },
  DENIED: { status: 403, message: 'requested access to the resource is denied' },
  UNSUPPORTED: { status: 405, message: 'the operation is unsupported' },
  TOOMANYREQUESTS: { status: 429, message: 'too many requests' },

  DIGEST_MALFORMED: { status: 400, wire: 'DIGEST_INVALID', message: 'invalid digest' },
  TAG_INVALID: { status: 400, wire: 'MANIFEST_INVALID', message: 'invalid tag' },
  MANIFEST_TOO_LARGE: { status: 413, wire: 'MANIFEST_INVALID', message: 'manifest too large' },
  UPLOAD_OUT_OF_ORDER: {
    status: 416,
    wire: 'BLOB_UPLOAD_INVALID',
    message: 'the chunk does not start where the upload stands',
  },
  RANGE_UNSATISFIABLE: {
    status: 416,
    wire: 'SIZE_INVALID',
    message: 'the requested range is outside of the blob',
  },
  REQUEST_INVALID: { status: 400, wire: 'UNSUPPORTED', message: 'invalid request' },
  TOO_MANY_TAGS: { status: 414, wire: 'UNSUPPORTED', message: 'too many tags in one request' },
  PRECONDITION_FAILED: {
    status: 412,
    wire: 'DENIED',
    message: 'a condition of the request does not hold',
  },
  TAG_IMMUTABLE: { status: 405, wire: 'UNSUPPORTED', message: 'the tag is immutable' },
  READ_ONLY: { status: 405, wire: 'UNSUPPORTED', message: 'the registry is read-only' },
  ROUTE_UNKNOWN: { status: 404, wire: 'UNSUPPORTED', message: 'no such endpoint' },
  STORAGE_FAILED: { status: 503, wire: 'UNSUPPORTED', message: 'the storage did not answer' },
  QUOTA_EXCEEDED: { status: 403, wire: 'DENIED', message: 'the repository is full' },
  ISSUER_UNREACHABLE: {
    status: 503,
    wire: 'UNSUPPORTED',
    message: 'the issuer of the token did not answer',
  },
  INTERNAL: { status: 500, wire: 'UNSUPPORTED', message: 'internal error' },

  RECORD_CONFLICT: { message: 'the record was changed by another writer' },
  CONFIG_INVALID: { message: 'invalid configuration' },
  USAGE: { message: 'wrong usage' },

  REFERENCE_INVALID: { message: 'invalid image reference' },
  PLATFORM_INVALID: { message: 'invalid platform' },
  PLATFORM_UNKNOWN: { message: 'the image has no manifest for this platform' },
  IMAGE_UNKNOWN: { message: 'no such image in the local store' },
  IMAGE_IN_USE: { message: 'a container uses the image' },
  IMAGE_CONFIG_INVALID: { message: 'invalid image config' },
  REGISTRY_UNREACHABLE: { message: 'the registry cannot be reached' },
  REGISTRY_FAILED: { message: 'the registry answered with an error' },
  CONTENT_MISMATCH: { message: 'content does not match its digest or size' },
  DIFF_ID_MISMATCH: { message: 'layer does not match the diffID of the image config' },
  COMPRESSION_INVALID: { message: 'layer cannot be decompressed' },
  TAR_INVALID: { message: 'invalid tar archive' },
  LAYER_INVALID: { message: 'layer cannot be unpacked' },
  LAYOUT_INVALID: { message: 'invalid OCI image layout' },
  ARCHIVE_INVALID: { message: 'invalid docker-archive' },
  STORE_FAILED: { message: 'the local store cannot be used' },

  CONTAINER_UNKNOWN: { message: 'no such container' },
  CONTAINER_STATE: { message: 'the container is not in the state for this' },
  NAME_TAKEN: { message: 'the name is taken' },
  NETWORK_UNKNOWN: { message: 'no such network' },
  NETWORK_IN_USE: { message: 'the network is in use' },
  NETWORK_FAILED: { message: 'the network could not be set up' },
  PORT_TAKEN: { message: 'the port is taken' },
  VOLUME_UNKNOWN: { message: 'no such volume' },
  VOLUME_IN_USE: { message: 'the volume is in use' },
  CDI_UNKNOWN: { message: 'no such device' },
  CDI_INVALID: { message: 'invalid description of devices' },
  RUNTIME_UNAVAILABLE: { message: 'no OCI runtime works on this host' },
  RUN_FAILED: { message: 'the container could not be run' },
  COMMAND_NOT_FOUND: { message: 'command not found in the image' },
  COMMAND_NOT_EXECUTABLE: { message: 'command cannot be executed' },
  MOUNT_FAILED: { message: 'mount failed' },
  USER_UNKNOWN: { message: 'no such user in the image' },
  SYSCALL_FAILED: { message: 'system call failed' },
} as const satisfies Record<
  string,
  { readonly message: string; readonly status?: number; readonly wire?: string }
>

export type ErrorCode = keyof typeof ERRORS

export interface ErrorOptions {
  /** Data for programs: sent as `detail` by the registry, printed by `--progress json`. Never a secret. */
  readonly detail?: unknown
  readonly cause?: unknown
  /** Whether the same call may succeed later with nothing changed. */
  readonly retryable?: boolean
}

/** The one error class of Dray. `message` tells a person what happened and what to do next. */
export class DrayError extends Error {
  override readonly name = 'DrayError'
  readonly code: ErrorCode
  readonly detail: unknown
  readonly retryable: boolean

  constructor(code: ErrorCode, message?: string, options: ErrorOptions = {}) {
    super(message ?? ERRORS[code].message, { cause: options.cause })
    this.code = code
    this.detail = options.detail
    this.retryable = options.retryable ?? false
  }
}

/** Whether `error` is a {@link DrayError}, of one of `codes` if any is given. */
export function isDrayError(error: unknown, ...codes: readonly ErrorCode[]): error is DrayError {
  return error instanceof DrayError && (codes.length === 0 || codes.includes(error.code))
}

/** Whether `error` is a failed system call of Node with this `code` (`ENOENT`, `EEXIST`, ...). */
export function isErrno(
  error: unknown,
  ...codes: readonly string[]
): error is NodeJS.ErrnoException {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    codes.includes(error.code)
  )
}

/** The message of anything thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
