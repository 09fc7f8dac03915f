/**
 * Whether two hosts belong to one owner: the same host at any port, or names under one registrable domain, as
 * `auth.docker.io` and `registry-1.docker.io`, by the public suffix list.
 */
export async function isSameSite(a: URL, b: URL): Promise<boolean> {
  if (a.hostname === b.hostname) return true
  const { getDomain } = await import('tldts')
  const domain = getDomain(a.hostname, { allowPrivateDomains: true })
  return domain !== null && domain === getDomain(b.hostname, { allowPrivateDomains: true })
}
