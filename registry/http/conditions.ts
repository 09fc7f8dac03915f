import type { Digest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { type Condition, checkCondition, type EntityTags } from '../services/conditions.ts'
import type { Context } from './context.ts'

const ENTITY_TAG = /^(W\/)?(?:"([^"]*)"|([^\s",]+))$/

/**
 * The condition that a request makes (RFC 9110, section 13.1). Digests count without quotes, too. A list that can't be
 * read is refused: to ignore it would be to drop the condition.
 *
 * @throws REQUEST_INVALID
 */
export function conditionOf(ctx: Context): Condition {
  return {
    ifMatch: entityTags(ctx, 'If-Match'),
    ifNoneMatch: entityTags(ctx, 'If-None-Match'),
  }
}

/** Whether the client has the content already, so that 304 is the answer. @throws REQUEST_INVALID, PRECONDITION_FAILED */
export function isNotModified(ctx: Context, digest: Digest): boolean {
  const { ifMatch, ifNoneMatch } = conditionOf(ctx)
  checkCondition({ ifMatch }, 'the content', digest)
  return ifNoneMatch !== undefined && (ifNoneMatch === '*' || ifNoneMatch.includes(digest))
}

function entityTags(ctx: Context, header: 'If-Match' | 'If-None-Match'): EntityTags | undefined {
  const text = ctx.get(header).trim()
  if (text === '') return undefined
  if (text === '*') return '*'
  return text.split(',').flatMap((item) => {
    const [matched, weak, quoted, bare] = ENTITY_TAG.exec(item.trim()) ?? []
    if (matched === undefined) {
      throw new DrayError('REQUEST_INVALID', `${header} must be * or entity tags in quotes`)
    }
    // Weak tags never do for a match that has to be exact.
    return weak !== undefined && header === 'If-Match' ? [] : [quoted ?? bare ?? '']
  })
}
