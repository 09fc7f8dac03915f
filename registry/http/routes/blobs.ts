import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import type Router from '@koa/router'
import type { Digest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import type { BlobService } from '../../services/blobs.ts'
import type { Services } from '../../services/services.ts'
import type { ByteRange, ByteSource } from '../../storage/blob-driver.ts'
import { isNotModified } from '../conditions.ts'
import { answerEmpty, type Context, digestOfPath, repositoryOf } from '../context.ts'
import { formatContentRange, parseRanges } from '../ranges.ts'

const BLOB = /^\/v2\/(.+)\/blobs\/([^/]+)$/
const BINARY = 'application/octet-stream'

/** Reading and deleting blobs (distribution-spec, end-2, end-10), with ranges (RFC 9110, section 14). */
export function addBlobRoutes(router: Router, { blobs }: Services): void {
  router.get(BLOB, async (ctx) => {
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
    const [only] = ranges ?? []
    if (ranges !== undefined && ranges.length > 1) {
      await answerParts(ctx, blobs, { digest, size, ranges })
    } else if (only !== undefined) {
      ctx.status = 206
      ctx.set('Content-Range', formatContentRange(only, size))
      await answerBytes(ctx, only.end - only.start + 1, () => blobs.read(digest, only))
    } else {
      ctx.status = 200
      await answerBytes(ctx, size, () => blobs.read(digest))
    }
  })

  router.delete(BLOB, async (ctx) => {
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

async function answerBytes(
  ctx: Context,
  length: number,
  read: () => Promise<ByteSource>,
): Promise<void> {
  ctx.set('Content-Type', ctx.response.get('Content-Type') || BINARY)
  if (ctx.method !== 'HEAD') {
    const source = await read()
    ctx.body = source instanceof Readable ? source : Readable.from(source, { objectMode: false })
  }
  ctx.length = length
}

interface Parts {
  readonly digest: Digest
  readonly size: number
  readonly ranges: readonly ByteRange[]
}

/** Several ranges in one answer, as multipart/byteranges (RFC 9110, section 14.6). */
async function answerParts(ctx: Context, blobs: BlobService, parts: Parts): Promise<void> {
  const { digest, size, ranges } = parts
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
  ctx.status = 206
  ctx.set('Content-Type', `multipart/byteranges; boundary=${boundary}`)
  await answerBytes(ctx, wanted + framing, async () => body())
}
