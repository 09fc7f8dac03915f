import type { Digest } from '#oci/digest.ts'
import type { RepositoryName, Tag } from '#oci/reference.ts'

/**
 * Every key of the record store. A repository's name ends in `!`, which no name holds, so that no name can reach
 * into the records of another one.
 *
 *     catalog/<name>                         the repository has held a manifest
 *     blobs/<name>!/<digest>                 the repository shows this blob
 *     holders/<digest>/<name>                the repository shows this blob, or once did
 *     manifests/<name>!/<digest>             a manifest: its media type, a line feed, its exact bytes
 *     tags/<name>!/<tag>                     the digest that the tag stands for
 *     tagged/<name>!/<digest>/<tag>          the tag stands, or once stood, for this manifest
 *     referrers/<name>!/<subject>/<digest>   descriptor of a manifest whose subject this is
 *     token-keys/<period>                    a private key that tokens are signed with, as JWK
 */
export const RECORD_KEYS = {
  catalog: 'catalog/',
  repository: (name: RepositoryName) => `catalog/${name}`,
  blobs: (name: RepositoryName) => `blobs/${name}!/`,
  blob: (name: RepositoryName, digest: Digest) => `blobs/${name}!/${digest}`,
  holders: (digest: Digest) => `holders/${digest}/`,
  holder: (digest: Digest, name: RepositoryName) => `holders/${digest}/${name}`,
  manifest: (name: RepositoryName, digest: Digest) => `manifests/${name}!/${digest}`,
  tags: (name: RepositoryName) => `tags/${name}!/`,
  tag: (name: RepositoryName, tag: Tag) => `tags/${name}!/${tag}`,
  taggedAs: (name: RepositoryName, digest: Digest) => `tagged/${name}!/${digest}/`,
  tagged: (name: RepositoryName, digest: Digest, tag: Tag) => `tagged/${name}!/${digest}/${tag}`,
  referrers: (name: RepositoryName, subject: Digest) => `referrers/${name}!/${subject}/`,
  referrer: (name: RepositoryName, subject: Digest, digest: Digest) =>
    `referrers/${name}!/${subject}/${digest}`,
  tokenKeys: 'token-keys/',
  tokenKey: (period: number) => `token-keys/${String(period).padStart(12, '0')}`,
} as const

/** Stands in records that say all by their key; a record isn't empty. */
export const PRESENT = Buffer.from('1')
