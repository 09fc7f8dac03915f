import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseRepositoryName } from '#oci/reference.ts'
import { ANONYMOUS, type Identity } from '#registry/auth/identity.ts'
import { ACTIONS, decide, parseRules } from '#registry/auth/rules.ts'
import { parseConfig } from '#registry/index.ts'

const alice: Identity = { name: 'alice', groups: ['dev', 'ops'] }
const job: Identity = {
  name: 'github:repo:acme/app:ref:refs/heads/main',
  groups: [],
  issuer: 'github',
  claims: {
    repository: 'acme/app',
    ref: 'refs/heads/release/1',
    protected: true,
    teams: ['a', 'b'],
    'kubernetes.io': { namespace: 'prod' },
  },
}

const parseAuth = (auth: unknown) =>
  parseConfig({ env: { DRAY_AUTH: JSON.stringify(auth) } }).auth ?? assert.fail()

const rulesOf = (subjects: unknown, more: object = {}) =>
  parseRules(
    parseAuth({
      rules: [{ name: 'r', subjects, repositories: ['team/**'], actions: ['pull'], ...more }],
    }).rules,
  )

const may = (subjects: unknown, identity: Identity) =>
  decide(rulesOf(subjects), identity, 'pull', parseRepositoryName('team/app')).isAllowed

describe('the rules', () => {
  it('allow nothing when there are none', () => {
    for (const identity of [ANONYMOUS, alice, job]) {
      for (const action of ACTIONS) {
        const name = parseRepositoryName('a')
        assert.equal(decide(parseRules([]), identity, action, name).isAllowed, false)
      }
    }
  })

  const subjects: readonly (readonly [unknown, readonly Identity[]])[] = [
    ['anyone', [ANONYMOUS, alice, job]],
    ['users', [alice, job]],
    ['user:alice', [alice]],
    ['user:al*', [alice]],
    ['user:*', [alice]],
    ['user:github:*/**', [job]],
    ['user:github:repo:acme/*:ref:refs/heads/main', [job]],
    ['user:alice2', []],
    ['user:Alice', []],
    ['group:dev', [alice]],
    ['group:o*', [alice]],
    ['group:alice', []],
    ['user:dev', []],
    ['user:anonymous', []],
    [{ issuer: 'github', claims: { repository: 'acme/*' } }, [job]],
    [{ issuer: 'gitlab', claims: { repository: 'acme/*' } }, []],
    [{ issuer: 'github', claims: { repository: 'acme/*', ref: 'refs/heads/*' } }, []],
    [{ issuer: 'github', claims: { repository: 'acme/*', ref: 'refs/heads/**' } }, [job]],
    [{ issuer: 'github', claims: { repository: ['other/*', 'acme/app'] } }, [job]],
    [{ issuer: 'github', claims: { teams: 'b' } }, [job]],
    [{ issuer: 'github', claims: { protected: 'true' } }, [job]],
    [{ issuer: 'github', claims: { '/kubernetes.io/namespace': 'prod' } }, [job]],
    [{ issuer: 'github', claims: { '/kubernetes.io/name': 'prod' } }, []],
    [{ issuer: 'github', claims: { 'kubernetes.io': '**' } }, []],
    [{ issuer: 'github', claims: { missing: '**' } }, []],
    [{ issuer: 'github', claims: { constructor: '**', __proto__: '**' } }, []],
  ]
  for (const [subject, those] of subjects) {
    it(`mean ${those.length} of three by ${JSON.stringify(subject)}`, () => {
      for (const identity of [ANONYMOUS, alice, job]) {
        assert.equal(may([subject], identity), those.includes(identity), identity.name)
      }
    })
  }

  it('allow no action, no repository and nobody that they do not name', () => {
    const named = rulesOf(['user:alice'], { actions: ['pull', 'list'], repositories: ['x', 'y/*'] })
    fc.assert(
      fc.property(
        fc.constantFrom(...ACTIONS),
        fc.constantFrom('x', 'y', 'x/y', 'y/x', 'y/x/z', 'yx', 'z'),
        fc.constantFrom(ANONYMOUS, alice, job),
        (action, repository, identity) => {
          const { isAllowed } = decide(named, identity, action, parseRepositoryName(repository))
          const isNamed = ['x', 'y/x'].includes(repository)
          assert.equal(
            isAllowed,
            identity === alice && ['pull', 'list'].includes(action) && isNamed,
          )
        },
      ),
    )
  })

  const refused: Readonly<Record<string, object>> = {
    'no subjects': { subjects: [] },
    'no repositories': { repositories: [] },
    'no actions': { actions: [] },
    'an action that does not exist': { actions: ['write'] },
    'a subject that does not exist': { subjects: ['everyone'] },
    'a subject without a name': { subjects: ['user:'] },
    'claims without an issuer': { subjects: [{ claims: { a: 'b' } }] },
    'a pattern that is none': { repositories: ['a**'] },
    'a claim with a pattern that is none': {
      subjects: [{ issuer: 'i', claims: { ref: 'refs/**x' } }],
    },
    'a key that does not exist': { effect: 'deny' },
    'no name': { name: '' },
  }
  for (const [what, more] of Object.entries(refused)) {
    it(`are refused with ${what}`, () => {
      assert.throws(() => rulesOf(['anyone'], more), { code: 'CONFIG_INVALID' })
    })
  }
})
