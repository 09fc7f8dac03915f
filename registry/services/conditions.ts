import type { Digest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'

/** Entity tags of a conditional request; `*` stands for anything that exists. Those of manifests are their digests. */
export type EntityTags = '*' | readonly string[]

/** What must hold of what is there before a request may change it (RFC 9110, section 13.1). */
export interface Condition {
  readonly ifMatch?: EntityTags | undefined
  readonly ifNoneMatch?: EntityTags | undefined
}

/** Checks a condition against the digest of what is there, if anything is. @throws PRECONDITION_FAILED naming that digest */
export function checkCondition(
  { ifMatch, ifNoneMatch }: Condition,
  what: string,
  current: Digest | undefined,
): void {
  const holds =
    (ifMatch === undefined || includes(ifMatch, current)) &&
    (ifNoneMatch === undefined || !includes(ifNoneMatch, current))
  if (holds) return
  const standing = current === undefined ? 'does not exist' : `is now ${current}`
  throw new DrayError('PRECONDITION_FAILED', `${what} ${standing}: the condition does not hold`, {
    detail: { digest: current },
  })
}

/** Whether there is anything to check. */
export function isConditional({ ifMatch, ifNoneMatch }: Condition): boolean {
  return ifMatch !== undefined || ifNoneMatch !== undefined
}

function includes(tags: EntityTags, current: Digest | undefined): boolean {
  return current !== undefined && (tags === '*' || tags.includes(current))
}
