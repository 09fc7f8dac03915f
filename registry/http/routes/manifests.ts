import type { Services } from '../../services/services.ts'
import type { Routes } from '../access.ts'
import { bodyOf, readWhole } from '../body.ts'
import { conditionOf, isNotModified } from '../conditions.ts'
import { answerEmpty, repositoryOf, selectorOf, tagsOf } from '../context.ts'
import { accessOf } from '../guard.ts'
import { PATHS } from '../paths.ts'

export interface ManifestRouteOptions {
  readonly stallTimeoutMs: number
  /** Longest manifest that is taken. */
  readonly manifestBytes: number
}

/** Manifests by tag and by digest (distribution-spec, end-3, end-7, end-9). */
export function addManifestRoutes(
  router: Routes,
  { manifests }: Services,
  { stallTimeoutMs, manifestBytes }: ManifestRouteOptions,
): void {
  router.get(PATHS.manifest, async (ctx) => {
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

  router.put(PATHS.manifest, async (ctx) => {
    const name = repositoryOf(ctx)
    const selector = selectorOf(ctx)
    const tags = tagsOf(ctx, selector)
    const body = bodyOf(ctx.req, stallTimeoutMs)
    const bytes = await readWhole(body, ctx.request.length, manifestBytes)
    const contentType = ctx.get('Content-Type') || undefined
    const { digest, subject } = await manifests.put(name, {
      selector,
      tags,
      bytes,
      contentType,
      condition: conditionOf(ctx),
      mayOverwrite: accessOf(ctx).may('overwrite', name),
    })
    ctx.set('Docker-Content-Digest', digest)
    ctx.set('ETag', `"${digest}"`)
    ctx.set('Location', `/v2/${name}/manifests/${digest}`)
    if (subject !== undefined) ctx.set('OCI-Subject', subject)
    if (tags.length > 0) ctx.set('OCI-Tag', tags.join(', '))
    answerEmpty(ctx, 201)
  })

  router.delete(PATHS.manifest, async (ctx) => {
    await manifests.delete(repositoryOf(ctx), selectorOf(ctx), conditionOf(ctx))
    answerEmpty(ctx, 202)
  })
}
