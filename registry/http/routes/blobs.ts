import { randomUUID } from 'node:crypto'
import type { Digest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import type { BlobService } from '../../services/blobs.ts'
import type { Services } from '../../services/services.ts'
import type { ByteRange, ByteSource } from '../../storage/blob-driver.ts'
import type { Routes } from '../access.ts'
import { isNotModified } from '../conditions.ts'
import { answerEmpty, type Context, digestOfPath, repositoryOf } from '../context.ts'
import { PATHS } from '../paths.ts'
import { formatContentRange, parseRanges } from '../ranges.ts'
import { answerRedirect, canBeRedirected } from '../redirects.ts'
import { sendBytes } from '../send-bytes.ts'

const BINARY = 'application/octet-stream'

interface Bytes {
  readonly status: number
  readonly length: number
  read(): Promise<ByteSource>
}

/** Reading and deleting blobs (distribution-spec, end-2, end-10), with ranges (RFC 9110, section 14). */
export function addBlobRoutes(router: Routes, { blobs }: Services, stallTimeoutMs: number): void {
  /** The bytes are read only if the client wants them. */
  async function answerBytes(ctx: Context, { status, length, read }: Bytes): Promise<void> {
    ctx.status = status
    ctx.length = length
    if (ctx.method !== 'HEAD') await sendBytes(ctx, await read(), stallTimeoutMs)
  }

  router.get(PATHS.blob, async (ctx) => {
    const name = repositoryOf(ctx)
    const digest = digestOfPath(ctx)
    const { size } = await blobs.stat(name, digest)
    ctx.set('Docker-Content-Digest', digest)
    ctx.set('ETag', `"${digest}"`)
    ctx.set('Accept-Ranges', 'bytes')
    if (isNotModified(ctx, digest)) {
      ctx.status = 304
      return
    }
    const ranges = rangesOf(ctx, digest, size)
    const url = canBeRedirected(ctx) ? await blobs.presign(digest) : undefined
    if (url !== undefined) return answerRedirect(ctx, url)
    ctx.set('Content-Type', BINARY)
    const [only] = ranges ?? []
    if (ranges !== undefined && ranges.length > 1) {
      const { boundary, ...bytes } = partsOf(blobs, { digest, size, ranges })
      ctx.set('Content-Type', `multipart/byteranges; boundary=${boundary}`)
      await answerBytes(ctx, bytes)
    } else if (only !== undefined) {
      ctx.set('Content-Range', formatContentRange(only, size))
      const length = only.end - only.start + 1
      await answerBytes(ctx, { status: 206, length, read: () => blobs.read(digest, only) })
    } else {
      await answerBytes(ctx, { status: 200, length: size, read: () => blobs.read(digest) })
    }
  })

  router.delete(PATHS.blob, async (ctx) => {
    await blobs.delete(repositoryOf(ctx), digestOfPath(ctx))
    answerEmpty(ctx, 202)
  })
}

/** Undefined for the whole blob. @throws RANGE_UNSATISFIABLE */
function rangesOf(ctx: Context, digest: Digest, size: number): readonly ByteRange[] | undefined {
  const header = ctx.get('Range')
  const condition = ctx.get('If-Range')
  if (header === '' || (condition !== '' && condition !== `"${digest}"`)) return undefined
  const ranges = parseRanges(header, size)
  if (ranges?.length !== 0) return ranges
  ctx.set('Content-Range', `bytes */${size}`)
  throw new DrayError('RANGE_UNSATISFIABLE', `the blob has ${size} bytes`, { detail: { size } })
}

interface Ranges {
  readonly digest: Digest
  readonly size: number
  readonly ranges: readonly ByteRange[]
}

/** Several ranges in one answer, as multipart/byteranges (RFC 9110, section 14.6). */
function partsOf(
  blobs: BlobService,
  { digest, size, ranges }: Ranges,
): Bytes & { readonly boundary: string } {
  const boundary = randomUUID()
  const heads = ranges.map((range) =>
    Buffer.from(
      `\r\n--${boundary}\r\nContent-Type: ${BINARY}\r\n` +
        `Content-Range: ${formatContentRange(range, size)}\r\n\r\n`,
    ),
  )
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`)
  async function* body(): AsyncGenerator<Uint8Array> {
    for (const [i, range] of ranges.entries()) {
      yield heads[i] ?? tail
      yield* await blobs.read(digest, range)
    }
    yield tail
  }
  const wanted = ranges.reduce((sum, { start, end }) => sum + end - start + 1, 0)
  const framing = heads.reduce((sum, head) => sum + head.length, tail.length)
  return { status: 206, length: wanted + framing, boundary, read: async () => body() }
}
