import type { RepositoryName, Tag } from '#oci/reference.ts'
import { parseGlob } from '../globs.ts'

/** Globs of repository names, each with globs of the tags that never change there. */
export type ImmutableTags = Readonly<Record<string, readonly string[]>>

/** Whether a tag, once given, stays with its manifest for good. */
export type IsImmutable = (name: RepositoryName, tag: Tag) => boolean

/** @throws CONFIG_INVALID naming the pattern that is wrong */
export function parseImmutableTags(rules: ImmutableTags): IsImmutable {
  const parsed = Object.entries(rules).map(([repositories, tags]) => ({
    isRepository: parseGlob(repositories),
    tags: tags.map(parseGlob),
  }))
  return (name, tag) =>
    parsed.some(({ isRepository, tags }) => isRepository(name) && tags.some((isTag) => isTag(tag)))
}
