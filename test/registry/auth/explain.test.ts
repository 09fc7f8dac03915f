import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseRepositoryName } from '#oci/reference.ts'
import { authSchema } from '#registry/auth/config.ts'
import { explain, type Question } from '#registry/auth/explain.ts'

const CONFIG = authSchema.parse({
  groups: { dev: ['alice'] },
  issuers: [{ name: 'k8s', issuer: 'https://cluster.example', audience: 'registry' }],
  rules: [
    { name: 'public', subjects: ['anyone'], repositories: ['public/**'], actions: ['pull'] },
    { name: 'dev', subjects: ['group:dev'], repositories: ['dev/**'], actions: ['pull', 'push'] },
    {
      name: 'jobs',
      subjects: [{ issuer: 'k8s', claims: { '/kubernetes.io/namespace': 'prod', sub: 'job-*' } }],
      repositories: ['prod/**'],
      actions: ['push'],
    },
  ],
})

type Asked = readonly [user: string, action: Question['action'], name: string, more?: object]

const claims = { '/kubernetes.io/namespace': 'prod', sub: 'job-1' }
const ANSWERS: readonly (readonly [Asked, string])[] = [
  [['anonymous', 'pull', 'public/a'], 'rule "public" lets anonymous pull public/a'],
  [['anonymous', 'push', 'public/a'], 'no rule lets anonymous push public/a'],
  [['alice', 'push', 'dev/a'], 'rule "dev" lets alice push dev/a'],
  [['alice', 'overwrite', 'dev/a'], 'no rule lets alice overwrite dev/a'],
  [['bob', 'push', 'dev/a'], 'no rule lets bob push dev/a'],
  [['bob', 'push', 'dev/a', { groups: ['dev'] }], 'rule "dev" lets bob push dev/a'],
  [['k8s:job-1', 'push', 'prod/a', { claims }], 'rule "jobs" lets k8s:job-1 push prod/a'],
  [['k8s:job-1', 'push', 'prod/a'], 'no rule lets k8s:job-1 push prod/a'],
  [['other:job-1', 'push', 'prod/a', { claims }], 'no rule lets other:job-1 push prod/a'],
  // Users of the htpasswd file have no claims.
  [['job-1', 'push', 'prod/a', { claims }], 'no rule lets job-1 push prod/a'],
]

describe('the explanation of the rules', () => {
  for (const [[user, action, name, more], why] of ANSWERS) {
    it(`says: ${why}${more === undefined ? '' : `, of ${JSON.stringify(more)}`}`, () => {
      const question = { user, action, repository: parseRepositoryName(name), ...more }
      const decision = explain(CONFIG, question)
      assert.equal(decision.why, why)
      assert.equal(decision.isAllowed, why.startsWith('rule'))
      assert.equal(decision.rule, /^rule "(.*?)"/.exec(why)?.[1])
    })
  }

  it('says that there are no rules where nobody is asked who they are', () => {
    const repository = parseRepositoryName('a')
    const { isAllowed, why } = explain(undefined, { user: 'alice', action: 'delete', repository })
    assert.equal(isAllowed, true)
    assert.match(why, /no auth/)
  })
})
