import * as z from 'zod'
import type { RepositoryName } from '#oci/reference.ts'
import { type Glob, parseGlob } from '../globs.ts'
import { type Claims, type Identity, nameOf } from './identity.ts'

/** What can be done to a repository. `push` creates, `overwrite` moves a tag that is there, `list` shows it in the catalog. */
export const ACTIONS = ['pull', 'push', 'overwrite', 'delete', 'list'] as const
export type Action = (typeof ACTIONS)[number]

const claimValue = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)])

const subjectSchema = z.union([
  z.enum(['anyone', 'users']),
  z
    .string()
    .regex(/^(?:user|group):.+$/, 'must be anyone, users, user:<pattern> or group:<pattern>'),
  z.strictObject({
    issuer: z.string().min(1),
    claims: z.record(z.string().min(1), claimValue),
  }),
])

/** One rule of the configuration: what it allows, and to whom. Nothing is allowed that no rule allows. */
export const ruleSchema = z.strictObject({
  name: z.string().min(1).max(100),
  subjects: z.array(subjectSchema).min(1),
  repositories: z.array(z.string().min(1)).min(1),
  actions: z.array(z.enum(ACTIONS)).min(1),
})

export type RuleDocument = z.output<typeof ruleSchema>
type SubjectDocument = z.output<typeof subjectSchema>
type Subject = (identity: Identity) => boolean

interface Rule {
  readonly name: string
  readonly subjects: readonly Subject[]
  readonly repositories: readonly Glob[]
  readonly actions: ReadonlySet<Action>
}

/** Rules that are ready to decide. */
export interface Rules {
  readonly rules: readonly Rule[]
  /** Names of the claims, by issuer, that a rule looks at. */
  readonly claims: ReadonlyMap<string, ReadonlySet<string>>
}

export interface Decision {
  readonly isAllowed: boolean
  /** Name of the first rule that allows it. */
  readonly rule?: string | undefined
  /** A sentence for people. */
  readonly why: string
}

/** @throws CONFIG_INVALID naming the pattern that is wrong */
export function parseRules(documents: readonly RuleDocument[]): Rules {
  const claims = new Map<string, Set<string>>()
  for (const subject of documents.flatMap(({ subjects }) => subjects)) {
    if (typeof subject === 'string') continue
    const names = claims.get(subject.issuer) ?? new Set()
    for (const name of Object.keys(subject.claims)) names.add(name)
    claims.set(subject.issuer, names)
  }
  const rules = documents.map(({ name, subjects, repositories, actions }) => ({
    name,
    subjects: subjects.map(parseSubject),
    repositories: repositories.map(parseGlob),
    actions: new Set(actions),
  }))
  return { rules, claims }
}

/** Whether the rules let somebody do something: the whole of the registry's authorisation. */
export function decide(
  { rules }: Rules,
  identity: Identity,
  action: Action,
  repository: RepositoryName,
): Decision {
  for (const rule of rules) {
    if (!rule.actions.has(action)) continue
    if (!rule.repositories.some((matches) => matches(repository))) continue
    if (!rule.subjects.some((matches) => matches(identity))) continue
    const why = `rule "${rule.name}" lets ${nameOf(identity)} ${action} ${repository}`
    return { isAllowed: true, rule: rule.name, why }
  }
  return { isAllowed: false, why: `no rule lets ${nameOf(identity)} ${action} ${repository}` }
}

/** Whether some rule lets somebody do something, somewhere. */
export function hasRule({ rules }: Rules, identity: Identity, action: Action): boolean {
  return rules.some(
    ({ actions, subjects }) => actions.has(action) && subjects.some((matches) => matches(identity)),
  )
}

function parseSubject(subject: SubjectDocument): Subject {
  if (subject === 'anyone') return () => true
  if (subject === 'users') return ({ name }) => name !== undefined
  if (typeof subject === 'object') return parseClaims(subject)
  const colon = subject.indexOf(':')
  const matches = parseGlob(subject.slice(colon + 1))
  if (subject.startsWith('group:')) return ({ groups }) => groups.some(matches)
  return ({ name }) => name !== undefined && matches(name)
}

/** Every claim must match, by one of its patterns; only those of the issuer that the rule names count. */
function parseClaims({ issuer, claims }: Exclude<SubjectDocument, string>): Subject {
  const wanted = Object.entries(claims).map(([name, patterns]) => ({
    name,
    patterns: [patterns].flat().map(parseGlob),
  }))
  return (identity) =>
    identity.issuer === issuer &&
    wanted.every(({ name, patterns }) =>
      textsOf(claimOf(identity.claims, name)).some((text) =>
        patterns.some((matches) => matches(text)),
      ),
    )
}

/** A claim by its name, or by a path such as `/kubernetes.io/namespace` into what it holds. */
export function claimOf(claims: Claims | undefined, name: string): unknown {
  const path = name.startsWith('/') ? name.slice(1).split('/') : [name]
  let value: unknown = claims
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<string, unknown>)[key]
  }
  return value
}

function textsOf(value: unknown): string[] {
  return [value]
    .flat()
    .filter((each) => ['string', 'number', 'boolean'].includes(typeof each))
    .map(String)
}
