/**
 * The paths of the API, as they come: what is encoded stays so, and names are parsed from the right, so that no name
 * of a repository can take a request to another route.
 */
export const PATHS = {
  version: /^\/v2\/?$/,
  catalog: /^\/v2\/_catalog$/,
  tags: /^\/v2\/(.+)\/tags\/list$/,
  referrers: /^\/v2\/(.+)\/referrers\/([^/]+)$/,
  manifest: /^\/v2\/(.+)\/manifests\/([^/]+)$/,
  blob: /^\/v2\/(.+)\/blobs\/([^/]+)$/,
  uploads: /^\/v2\/(.+)\/blobs\/uploads\/?$/,
  upload: /^\/v2\/(.+)\/blobs\/uploads\/([^/]+)$/,
  token: /^\/token$/,
  keys: /^\/\.well-known\/jwks\.json$/,
} as const
