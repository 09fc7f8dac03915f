import type Router from '@koa/router'
import { isDigest } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import type { Services } from '../../services/services.ts'
import {
  digestOfPath,
  pageRequestOf,
  queryParameter,
  repositoryOf,
  setNextLink,
} from '../context.ts'

/** `GET /v2/`, the catalog, tags and referrers (distribution-spec, "Determining Support", "Content Discovery"). */
export function addDiscoveryRoutes(router: Router, services: Services): void {
  const { manifests, tags, referrers } = services

  router.get(/^\/v2\/?$/, (ctx) => {
    ctx.body = {}
  })

  router.get(/^\/v2\/_catalog$/, async (ctx) => {
    const request = pageRequestOf(ctx)
    const { entries, next } = await manifests.repositories(request)
    if (next !== undefined) setNextLink(ctx, { n: String(entries.length), last: next })
    ctx.body = { repositories: entries }
  })

  router.get(/^\/v2\/(.+)\/tags\/list$/, async (ctx) => {
    const name = repositoryOf(ctx)
    const { entries, next } = await tags.list(name, pageRequestOf(ctx))
    if (next !== undefined) setNextLink(ctx, { n: String(entries.length), last: next })
    ctx.body = { name, tags: entries }
  })

  router.get(/^\/v2\/(.+)\/referrers\/([^/]+)$/, async (ctx) => {
    const name = repositoryOf(ctx)
    const subject = digestOfPath(ctx)
    const artifactType = queryParameter(ctx, 'artifactType') || undefined
    const { last: after } = pageRequestOf(ctx)
    const last = after !== undefined && isDigest(after) ? after : undefined
    const page = await referrers.list(name, subject, { artifactType, last })
    const filter: Record<string, string> = artifactType === undefined ? {} : { artifactType }
    if (page.next !== undefined) setNextLink(ctx, { ...filter, last: page.next })
    if (artifactType !== undefined) ctx.set('OCI-Filters-Applied', 'artifactType')
    ctx.body = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: page.entries }
    ctx.set('Content-Type', MEDIA_TYPE.ociIndex)
  })
}
