import { type Digest, isDigestAlgorithm, parseDigest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { parseRepositoryName, type RepositoryName } from '#oci/reference.ts'
import type { Services } from '../../services/services.ts'
import {
  type Chunk,
  parseUploadId,
  type UploadId,
  type UploadPlace,
} from '../../services/uploads.ts'
import type { Routes } from '../access.ts'
import { bodyOf, hasBody } from '../body.ts'
import { answerEmpty, type Context, pathPart, queryParameter, repositoryOf } from '../context.ts'
import { accessOf } from '../guard.ts'
import { PATHS } from '../paths.ts'

const CONTENT_RANGE = /^([0-9]{1,15})-([0-9]{1,15})$/

/** Pushing, mounting and cancelling blobs (distribution-spec, end-4, end-5, end-6, end-11, end-13, end-14). */
export function addUploadRoutes(
  router: Routes,
  { uploads }: Services,
  stallTimeoutMs: number,
): void {
  router.post(PATHS.uploads, async (ctx) => {
    const name = repositoryOf(ctx)
    const digest = digestParameter(ctx, 'digest')
    const mount = digestParameter(ctx, 'mount')
    const from = queryParameter(ctx, 'from')
    const algorithm = algorithmOf(ctx)
    if (mount !== undefined) {
      // A repository that one can't read is like one that lacks the blob.
      const mayRead = (source: RepositoryName) => accessOf(ctx).may('pull', source)
      const source = from === undefined ? undefined : parseRepositoryName(from)
      if (await uploads.mount(name, mount, { from: source, mayRead }))
        return answerCreated(ctx, name, mount)
    } else if (digest !== undefined) {
      await uploads.push(name, digest, bodyOf(ctx.req, stallTimeoutMs))
      return answerCreated(ctx, name, digest)
    }
    const id = await uploads.start({ name, owner: accessOf(ctx).identity.name }, algorithm)
    setUploadHeaders(ctx, name, id, 0)
    answerEmpty(ctx, 202)
  })

  router.get(PATHS.upload, async (ctx) => {
    const { place, id } = uploadOf(ctx)
    setUploadHeaders(ctx, place.name, id, await uploads.status(place, id))
    answerEmpty(ctx, 204)
  })

  router.patch(PATHS.upload, async (ctx) => {
    const { place, id } = uploadOf(ctx)
    const size = await uploads.append(place, id, chunkOf(ctx, stallTimeoutMs))
    setUploadHeaders(ctx, place.name, id, size)
    answerEmpty(ctx, 202)
  })

  router.put(PATHS.upload, async (ctx) => {
    const { place, id } = uploadOf(ctx)
    const digest = digestParameter(ctx, 'digest')
    if (digest === undefined)
      throw new DrayError('DIGEST_MALFORMED', 'the parameter digest is missing')
    const chunk = hasBody(ctx.req) ? chunkOf(ctx, stallTimeoutMs) : undefined
    await uploads.finish(place, id, digest, chunk)
    answerCreated(ctx, place.name, digest)
  })

  router.delete(PATHS.upload, async (ctx) => {
    const { place, id } = uploadOf(ctx)
    await uploads.cancel(place, id)
    answerEmpty(ctx, 204)
  })
}

function uploadOf(ctx: Context): { place: UploadPlace; id: UploadId } {
  const place = { name: repositoryOf(ctx), owner: accessOf(ctx).identity.name }
  return { place, id: parseUploadId(pathPart(ctx, 1)) }
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
