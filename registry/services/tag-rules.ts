import { posix } from 'node:path'
import type { RepositoryName, Tag } from '#oci/reference.ts'

/**
 * Patterns of repository names, each with patterns of the tags that never change there. They are globs: `*` stands for
 * any characters but `/`, `**` for any number of whole components.
 */
export type ImmutableTags = Readonly<Record<string, readonly string[]>>

/** Whether a tag, once given, stays with its manifest for good. */
export function isImmutable(rules: ImmutableTags, name: RepositoryName, tag: Tag): boolean {
  return Object.entries(rules).some(
    ([repositories, tags]) =>
      posix.matchesGlob(name, repositories) &&
      tags.some((pattern) => posix.matchesGlob(tag, pattern)),
  )
}
