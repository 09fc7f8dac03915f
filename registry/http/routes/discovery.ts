import { isDigest } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import type { RepositoryName } from '#oci/reference.ts'
import type { Services } from '../../services/services.ts'
import type { Routes } from '../access.ts'
import {
  digestOfPath,
  pageRequestOf,
  queryParameter,
  repositoryOf,
  setNextLink,
} from '../context.ts'
import { accessOf } from '../guard.ts'
import { PATHS } from '../paths.ts'

/** `GET /v2/`, the catalog, tags and referrers (distribution-spec, "Determining Support", "Content Discovery"). */
export function addDiscoveryRoutes(router: Routes, services: Services): void {
  const { manifests, tags, referrers } = services

  router.get(PATHS.version, (ctx) => {
    ctx.body = {}
  })

  router.get(PATHS.catalog, async (ctx) => {
    const access = accessOf(ctx)
    const isListed = (name: RepositoryName) => access.may('list', name)
    const { entries, next } = await manifests.repositories(pageRequestOf(ctx), isListed)
    if (next !== undefined) setNextLink(ctx, { n: String(entries.length), last: next })
    ctx.body = { repositories: entries }
  })

  router.get(PATHS.tags, async (ctx) => {
    const name = repositoryOf(ctx)
    const { entries, next } = await tags.list(name, pageRequestOf(ctx))
    if (next !== undefined) setNextLink(ctx, { n: String(entries.length), last: next })
    ctx.body = { name, tags: entries }
  })

  router.get(PATHS.referrers, async (ctx) => {
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
