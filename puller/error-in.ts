import { DrayError, isDrayError } from '#oci/error.ts'

/** An error of what reads layers and archives, with what it was that was read: whoever reads bytes doesn't know whose they are. */
export function errorIn(what: string, error: unknown): unknown {
  if (!isDrayError(error, 'COMPRESSION_INVALID', 'TAR_INVALID', 'LAYER_INVALID')) return error
  const { code, message, retryable, detail } = error
  return new DrayError(code, `${what}: ${message}`, { retryable, detail, cause: error })
}

/** The outcome of work, an error of which is {@link errorIn} what it reads. */
export async function naming<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw errorIn(what, error)
  }
}
