import type { Descriptor } from '#oci/descriptor.ts'
import { DrayError } from '#oci/error.ts'
import { MANIFEST_LIMIT, parseManifest } from '#oci/manifest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { failure, readBody } from './http.ts'
import { nextPage } from './pages.ts'
import type { Place } from './place.ts'

/** More than any image has; a registry that answers with more is wrong. */
const MOST_REFERRERS = 10_000
const MOST_PAGES = 1000

/**
 * Lists what refers to a manifest, page by page (distribution-spec, "Listing Referrers").
 *
 * @returns undefined when the registry doesn't know the question
 * @throws REGISTRY_UNREACHABLE, REGISTRY_FAILED, MANIFEST_INVALID
 */
export async function listReferrers(
  { url, request, name }: Place,
  signal?: AbortSignal,
): Promise<readonly Descriptor[] | undefined> {
  const found: Descriptor[] = []
  let page: URL | undefined = url
  for (let pages = 0; page !== undefined; pages++) {
    const what = `cannot list what refers to ${url.pathname.split('/').at(-1)} in ${name}`
    const response = await request(page, { headers: { accept: MEDIA_TYPE.ociIndex }, signal })
    // Registries that don't know the question answer 404, as the spec has it, or something of their own.
    if (pages === 0 && [400, 404, 405, 501].includes(response.status)) {
      response.body.destroy()
      return undefined
    }
    if (response.status !== 200) throw await failure(response, what)
    const index = parseManifest(await readBody(response, MANIFEST_LIMIT), MEDIA_TYPE.ociIndex)
    if (index.kind === 'index') found.push(...index.manifests)
    if (found.length > MOST_REFERRERS || pages > MOST_PAGES)
      throw new DrayError('REGISTRY_FAILED', `${what}: the list doesn't end`)
    page = nextPage(response.headers.link, page)
  }
  return found
}
