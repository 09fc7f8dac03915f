import type Router from '@koa/router'
import { type Digest, isDigestAlgorithm, parseDigest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { parseRepositoryName, type RepositoryName } from '#oci/reference.ts'
import type { Services } from '../../services/services.ts'
import { type Chunk, parseUploadId, type UploadId } from '../../services/uploads.ts'
import { bodyOf, hasBody } from '../body.ts'
import { answerEmpty, type Context, pathPart, queryParameter, repositoryOf } from '../context.ts'

const UPLOADS = /^\/v2\/(.+)\/blobs\/uploads\/?$/
const UPLOAD = /^\/v2\/(.+)\/blobs\/uploads\/([^/]+)$/
const CONTENT_RANGE = /^([0-9]{1,15})-([0-9]{1,15})$/

/** Pushing, mounting and cancelling blobs (distribution-spec, end-4, end-5, end-6, end-11, end-13, end-14). */
export function addUploadRoutes(
  router: Router,
  { uploads }: Services,
  stallTimeoutMs: number,
): void {
  router.post(UPLOADS, async (ctx) => {
    const name = repositoryOf(ctx)
    const digest = digestParameter(ctx, 'digest')
    const mount = digestParameter(ctx, 'mount')
    const from = queryParameter(ctx, 'from')
    const algorithm = algorithmOf(ctx)
    if (mount !== undefined && from !== undefined) {
      const isMounted = await uploads.mount(name, mount, parseRepositoryName(from))
      if (isMounted) return answerCreated(ctx, name, mount)
    } else if (digest !== undefined) {
      await uploads.push(name, digest, bodyOf(ctx.req, stallTimeoutMs))
      return answerCreated(ctx, name, digest)
    }
    setUploadHeaders(ctx, name, await uploads.start(name, algorithm), 0)
    answerEmpty(ctx, 202)
  })

  router.get(UPLOAD, async (ctx) => {
    const { name, id } = uploadOf(ctx)
    setUploadHeaders(ctx, name, id, await uploads.status(name, id))
    answerEmpty(ctx, 204)
  })

  router.patch(UPLOAD, async (ctx) => {
    const { name, id } = uploadOf(ctx)
    const size = await uploads.append(name, id, chunkOf(ctx, stallTimeoutMs))
    setUploadHeaders(ctx, name, id, size)
    answerEmpty(ctx, 202)
  })

  router.put(UPLOAD, async (ctx) => {
    const { name, id } = uploadOf(ctx)
    const digest = digestParameter(ctx, 'digest')
    if (digest === undefined)
      throw new DrayError('DIGEST_MALFORMED', 'the parameter digest is missing')
    const chunk = hasBody(ctx.req) ? chunkOf(ctx, stallTimeoutMs) : undefined
    await uploads.finish(name, id, digest, chunk)
    answerCreated(ctx, name, digest)
  })

  router.delete(UPLOAD, async (ctx) => {
    const { name, id } = uploadOf(ctx)
    await uploads.cancel(name, id)
    answerEmpty(ctx, 204)
  })
}

function uploadOf(ctx: Context): { name: RepositoryName; id: UploadId } {
  return { name: repositoryOf(ctx), id: parseUploadId(pathPart(ctx, 1)) }
}

function digestParameter(ctx: Context, name: string): Digest | undefined {
  const value = queryParameter(ctx, name)
  return value === undefined ? undefined : parseDigest(value)
}

function algorithmOf(ctx: Context) {
  const name = queryParameter(ctx, 'digest-algorithm')
  if (name === undefined || isDigestAlgorithm(name)) return name
  throw new DrayError(
    'DIGEST_MALFORMED',
    'the digest algorithm is not supported: use sha256 or sha512',
  )
}

/** The bytes of a request and where they belong; a length that contradicts the range is refused before any is read. */
function chunkOf(ctx: Context, stallTimeoutMs: number): Chunk {
  const source = bodyOf(ctx.req, stallTimeoutMs)
  const header = ctx.get('Content-Range')
  if (header === '') return { source }
  const [, first, last] = CONTENT_RANGE.exec(header) ?? []
  const range = { start: Number(first), end: Number(last) }
  if (first === undefined || range.end < range.start) {
    throw new DrayError('BLOB_UPLOAD_INVALID', 'Content-Range must be <first byte>-<last byte>')
  }
  const { length } = ctx.request
  if (length !== undefined && length !== range.end - range.start + 1) {
    throw new DrayError('SIZE_INVALID', 'Content-Length and Content-Range contradict each other')
  }
  return { source, range }
}

/** `Range` has no form for no bytes at all; `0-0` stands for that, too, as in every registry. */
function setUploadHeaders(ctx: Context, name: RepositoryName, id: UploadId, size: number): void {
  ctx.set('Location', `/v2/${name}/blobs/uploads/${id}`)
  ctx.set('Docker-Upload-UUID', id)
  ctx.set('Range', `0-${Math.max(size - 1, 0)}`)
}

function answerCreated(ctx: Context, name: RepositoryName, digest: Digest): void {
  ctx.set('Location', `/v2/${name}/blobs/${digest}`)
  ctx.set('Docker-Content-Digest', digest)
  answerEmpty(ctx, 201)
}
