import { DrayError } from '#oci/error.ts'
import { parseRepositoryName, type RepositoryName } from '#oci/reference.ts'
import type { Action } from '../rules.ts'

/** What a token allows at most. The rules still decide, so that a rule that is gone counts at once. */
export interface Grants {
  readonly repositories: ReadonlyMap<RepositoryName, ReadonlySet<ScopeAction>>
  /** Whether repositories may be listed. */
  readonly catalog: boolean
}

/** The actions that clients ask for in scopes: those of the distribution's token protocol. */
export const SCOPE_ACTIONS = ['pull', 'push', 'delete'] as const
export type ScopeAction = (typeof SCOPE_ACTIONS)[number]

/** One item of the claim `access` (distribution, "Docker Registry v2 Bearer token specification"). */
export interface AccessItem {
  readonly type: string
  readonly name: string
  readonly actions: readonly string[]
}

const MOST_SCOPES = 100
const TEXT_LIMIT = 10_000
const CATALOG = 'registry:catalog:*'

/**
 * Reads what a client asks for: `repository:<name>:<actions>` and `registry:catalog:*`, parted by spaces.
 *
 * @throws REQUEST_INVALID for anything else
 */
export function parseScopes(texts: readonly string[]): Grants {
  return grantsOf(texts.flatMap((text) => text.split(' ')).filter((text) => text !== ''))
}

function grantsOf(scopes: readonly string[]): Grants {
  const length = scopes.reduce((sum, scope) => sum + scope.length, 0)
  if (scopes.length > MOST_SCOPES || length > TEXT_LIMIT) {
    throw new DrayError('REQUEST_INVALID', `at most ${MOST_SCOPES} scopes at once`)
  }
  const repositories = new Map<RepositoryName, Set<ScopeAction>>()
  for (const scope of scopes) {
    if (scope === CATALOG) continue
    const { name, actions } = parseScope(scope)
    const known = repositories.get(name) ?? new Set()
    for (const action of actions) known.add(action)
    repositories.set(name, known)
  }
  return { repositories, catalog: scopes.includes(CATALOG) }
}

function parseScope(scope: string): { name: RepositoryName; actions: readonly ScopeAction[] } {
  const [type, name = '', actions = '', ...more] = scope.split(':')
  if (type !== 'repository' || more.length > 0) throw invalidScope(scope)
  try {
    return { name: parseRepositoryName(name), actions: actions.split(',').flatMap(parseAction) }
  } catch (cause) {
    throw invalidScope(scope, cause)
  }
}

function parseAction(text: string): readonly ScopeAction[] {
  if (text === '*') return SCOPE_ACTIONS
  const action = SCOPE_ACTIONS.find((each) => each === text)
  if (action === undefined) throw new Error('no such action')
  return [action]
}

function invalidScope(scope: string, cause?: unknown): DrayError {
  return new DrayError(
    'REQUEST_INVALID',
    `invalid scope ${JSON.stringify(scope.slice(0, 100))}: ` +
      `write repository:<name>:<actions> of ${SCOPE_ACTIONS.join(', ')}, or ${CATALOG}`,
    { cause },
  )
}

/** Whether a token may be used for an action. Moving tags is pushing: the rules tell these apart, scopes don't. */
export function covers(grants: Grants, action: Action, name: RepositoryName): boolean {
  if (action === 'list') return grants.catalog
  const needed = action === 'overwrite' ? 'push' : action
  return grants.repositories.get(name)?.has(needed) === true
}

/** The claim `access` of what was granted. */
export function formatAccess({ repositories, catalog }: Grants): AccessItem[] {
  const items: AccessItem[] = [...repositories]
    .filter(([, actions]) => actions.size > 0)
    .map(([name, actions]) => ({ type: 'repository', name, actions: [...actions] }))
  return catalog ? [...items, { type: 'registry', name: 'catalog', actions: ['*'] }] : items
}

/** Reads the claim `access`. @throws REQUEST_INVALID */
export function parseAccess(items: readonly AccessItem[]): Grants {
  return grantsOf(items.map(({ type, name, actions }) => `${type}:${name}:${actions.join(',')}`))
}
