import type Router from '@koa/router'
import { MANIFEST_LIMIT } from '#oci/manifest.ts'
import type { Services } from '../../services/services.ts'
import { bodyOf, readWhole } from '../body.ts'
import { conditionOf, isNotModified } from '../conditions.ts'
import { answerEmpty, repositoryOf, selectorOf, tagsOf } from '../context.ts'

const MANIFEST = /^\/v2\/(.+)\/manifests\/([^/]+)$/

/** Manifests by tag and by digest (distribution-spec, end-3, end-7, end-9). */
export function addManifestRoutes(
  router: Router,
  { manifests }: Services,
  stallTimeoutMs: number,
): void {
  router.get(MANIFEST, async (ctx) => {
    const { bytes, digest, mediaType } = await manifests.get(repositoryOf(ctx), selectorOf(ctx))
    ctx.set('Docker-Content-Digest', digest)
    ctx.set('ETag', `"${digest}"`)
    if (isNotModified(ctx, digest)) {
      ctx.status = 304
      return
    }
    ctx.set('Content-Type', mediaType)
    ctx.body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  })

  router.put(MANIFEST, async (ctx) => {
    const name = repositoryOf(ctx)
    const selector = selectorOf(ctx)
    const tags = tagsOf(ctx, selector)
    const body = bodyOf(ctx.req, stallTimeoutMs)
    const bytes = await readWhole(body, ctx.request.length, MANIFEST_LIMIT)
    const contentType = ctx.get('Content-Type') || undefined
    const { digest, subject } = await manifests.put(name, {
      selector,
      tags,
      bytes,
      contentType,
      condition: conditionOf(ctx),
    })
    ctx.set('Docker-Content-Digest', digest)
    ctx.set('ETag', `"${digest}"`)
    ctx.set('Location', `/v2/${name}/manifests/${digest}`)
    if (subject !== undefined) ctx.set('OCI-Subject', subject)
    if (tags.length > 0) ctx.set('OCI-Tag', tags.join(', '))
    answerEmpty(ctx, 201)
  })

  router.delete(MANIFEST, async (ctx) => {
    await manifests.delete(repositoryOf(ctx), selectorOf(ctx), conditionOf(ctx))
    answerEmpty(ctx, 202)
  })
}
