import { DrayError, errorMessage } from '#oci/error.ts'
import { parseJson } from '#oci/json.ts'

const TIMEOUT_MS = 5000
const DOCUMENT_LIMIT = 256 * 1024

/**
 * A document of an issuer, within bounds of time and size. It comes from the address that is asked or not at all.
 *
 * @throws ISSUER_UNREACHABLE
 */
export async function fetchJson(url: URL | string): Promise<unknown> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const headers = { accept: 'application/json' }
    const answer = await fetch(url, { redirect: 'error', headers, signal })
    if (!answer.ok) throw new Error(`status ${answer.status}`)
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of answer.body ?? []) {
      size += chunk.length
      if (size > DOCUMENT_LIMIT) throw new Error(`more than ${DOCUMENT_LIMIT} bytes`)
      chunks.push(chunk)
    }
    const limits = { code: 'ISSUER_UNREACHABLE', maxBytes: DOCUMENT_LIMIT } as const
    return parseJson(Buffer.concat(chunks), limits)
  } catch (cause) {
    throw new DrayError(
      'ISSUER_UNREACHABLE',
      `cannot read ${String(url)}: ${errorMessage(cause)}`,
      { cause, retryable: true },
    )
  }
}
