import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { digestOf } from '#oci/digest.ts'
import {
  familiarReference,
  formatReference,
  manifestSelector,
  parseReference,
  parseRepositoryName,
  parseTag,
  withDefaultTag,
} from '#oci/reference.ts'

const DIGEST = digestOf('')
const HEX_64 = DIGEST.slice('sha256:'.length)

/** What is typed, and registry, repository, tag, digest and the short form of it. */
const ACCEPTED: readonly {
  text: string
  registry: string
  repository: string
  tag?: string
  digest?: string
  familiar?: string
}[] = [
  { text: 'debian', registry: 'docker.io', repository: 'library/debian' },
  { text: 'debian:12', registry: 'docker.io', repository: 'library/debian', tag: '12' },
  { text: 'a/b', registry: 'docker.io', repository: 'a/b' },
  { text: 'a/b/c/d:t', registry: 'docker.io', repository: 'a/b/c/d', tag: 't' },
  { text: `debian@${DIGEST}`, registry: 'docker.io', repository: 'library/debian', digest: DIGEST },
  {
    text: 'docker.io/debian',
    registry: 'docker.io',
    repository: 'library/debian',
    familiar: 'debian',
  },
  { text: 'docker.io/a/b', registry: 'docker.io', repository: 'a/b', familiar: 'a/b' },
  { text: 'library/x', registry: 'docker.io', repository: 'library/x', familiar: 'x' },
  { text: 'library/x/y', registry: 'docker.io', repository: 'library/x/y' },
  {
    text: 'index.docker.io/x',
    registry: 'docker.io',
    repository: 'library/x',
    familiar: 'x',
  },
  { text: 'localhost/x', registry: 'localhost', repository: 'x' },
  { text: 'localhost:5000/x', registry: 'localhost:5000', repository: 'x' },
  {
    text: `localhost:5000/a/b:t@${DIGEST}`,
    registry: 'localhost:5000',
    repository: 'a/b',
    tag: 't',
    digest: DIGEST,
  },
  { text: 'Registry/x', registry: 'Registry', repository: 'x' },
  { text: 'Registry.example/x', registry: 'Registry.example', repository: 'x' },
  { text: '[::1]:5000/x', registry: '[::1]:5000', repository: 'x' },
  { text: '[2001:db8::1]/x:t', registry: '[2001:db8::1]', repository: 'x', tag: 't' },
  { text: '127.0.0.1/x', registry: '127.0.0.1', repository: 'x' },
  { text: 'host:0/x', registry: 'host:0', repository: 'x' },
  { text: 'host:65535/x', registry: 'host:65535', repository: 'x' },
  { text: 'xn--bcher-kva.example/x', registry: 'xn--bcher-kva.example', repository: 'x' },
  { text: 'x/a.b_c__d---e', registry: 'docker.io', repository: 'x/a.b_c__d---e' },
  { text: 'x:_A.b-C', registry: 'docker.io', repository: 'library/x', tag: '_A.b-C' },
  {
    text: `x:${'t'.repeat(128)}`,
    registry: 'docker.io',
    repository: 'library/x',
    tag: 't'.repeat(128),
  },
  { text: DIGEST, registry: 'docker.io', repository: 'library/sha256', tag: HEX_64 },
  { text: `r.io/${HEX_64}`, registry: 'r.io', repository: HEX_64 },
  { text: `${HEX_64}:t`, registry: 'docker.io', repository: `library/${HEX_64}`, tag: 't' },
  {
    text: HEX_64.slice(1),
    registry: 'docker.io',
    repository: `library/${HEX_64.slice(1)}`,
  },
  { text: `r.io/${'a'.repeat(255)}`, registry: 'r.io', repository: 'a'.repeat(255) },
]

const REFUSED: readonly (readonly [string, string])[] = [
  ['nothing', ''],
  ['a space', ' '],
  ['a bare identifier', HEX_64],
  ['an upper-case name', 'Debian'],
  ['an upper-case component', 'docker.io/a/Debian'],
  ['an upper-case name after a host', 'localhost/X'],
  ['a name that starts with a separator', '-x'],
  ['a name that ends with a separator', 'x-'],
  ['two dots', 'a..b'],
  ['three underscores', 'a___b'],
  ['an empty component', 'a//b'],
  ['a slash at the end', 'a/'],
  ['a slash at the start', '/a'],
  ['a path upwards', 'r.io/../x'],
  ['an empty tag', 'x:'],
  ['a tag of 129 characters', `x:${'t'.repeat(129)}`],
  ['a tag that starts with a dot', 'x:.t'],
  ['two tags', 'x:a:b'],
  ['an empty digest', 'x@'],
  ['a short digest', 'x@sha256:00'],
  ['two digests', `x@${DIGEST}@${DIGEST}`],
  ['a digest before the tag', `x@${DIGEST}:t`],
  ['a digest alone', `@${DIGEST}`],
  ['a host without a name', 'localhost:5000/'],
  ['a port of six digits', 'host:123456/x'],
  ['a port above 65535', 'host:65536/x'],
  ['an empty port', 'host:/x'],
  ['a port that is no number', 'host:5000a/x'],
  ['user information', 'user:password@host/x'],
  ['a URL', 'https://host/x'],
  ['a host that starts with a hyphen', '-host.io/x'],
  ['an open bracket', '[::1/x'],
  ['an IPv6 zone', '[fe80::1%eth0]/x'],
  ['a host with a line feed', 'host.io\n/x'],
  ['a name with a line feed at the end', 'x\n'],
  ['a tag with a line feed at the end', 'x:t\n'],
  ['a zero byte', 'x\0'],
  ['another script', 'дебиан'],
  ['a name of 256 characters', `r.io/${'a'.repeat(256)}`],
  ['a name that library/ makes too long', 'a'.repeat(250)],
]

describe('reference', () => {
  for (const { text, registry, repository, tag, digest, familiar } of ACCEPTED) {
    it(`reads ${text.slice(0, 60)}`, () => {
      const reference = parseReference(text)
      assert.deepEqual(reference, {
        registry,
        repository,
        ...(tag === undefined ? {} : { tag }),
        ...(digest === undefined ? {} : { digest }),
      })
      assert.equal(familiarReference(reference), familiar ?? text)
    })
  }

  for (const [what, text] of REFUSED) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parseReference(text), { code: 'REFERENCE_INVALID' })
    })
  }

  it('refuses hostile texts without getting lost in them', { timeout: 60_000 }, () => {
    const texts = [
      'a-'.repeat(900),
      `${'a'.repeat(2000)}!`,
      `${'a.'.repeat(900)}/`,
      `${'a/'.repeat(900)}!`,
      `${'-'.repeat(2000)}a.b/x`,
      `a${'-'.repeat(2000)}.b/x`,
      `[${':'.repeat(2000)}/x`,
      `x:${'t'.repeat(2000)}`,
      'a'.repeat(10_000_000),
      '@'.repeat(10_000_000),
    ]
    for (const text of texts) assert.throws(() => parseReference(text))
  })

  it('parses repository names and tags on their own, each with its code', () => {
    assert.equal(parseRepositoryName('a/b'), 'a/b')
    assert.equal(parseTag('v1'), 'v1')
    for (const name of ['', 'A', 'a/', 'a:b', `${'a'.repeat(256)}`, '..', 'a\n']) {
      assert.throws(() => parseRepositoryName(name), { code: 'NAME_INVALID' })
    }
    for (const tag of ['', '-a', 'a/b', 't'.repeat(129), 'a\n', 'é']) {
      assert.throws(() => parseTag(tag), { code: 'TAG_INVALID' })
    }
  })

  it('selects by digest before tag, and latest where there is neither', () => {
    const select = (text: string) => manifestSelector(withDefaultTag(parseReference(text)))
    assert.equal(select('x'), 'latest')
    assert.equal(select('x:1'), '1')
    assert.equal(select(`x@${DIGEST}`), DIGEST)
    assert.equal(select(`x:1@${DIGEST}`), DIGEST)
    assert.equal(withDefaultTag(parseReference(`x@${DIGEST}`)).tag, undefined)
  })

  it('parses any valid reference to the parts that it was made of', () => {
    fc.assert(
      fc.property(references(), (parts) => {
        assert.deepEqual(parseReference(formatReference(parts)), parts)
      }),
    )
  })

  it('formats to a fixed point, in the full and in the familiar form', () => {
    fc.assert(
      fc.property(references(), (parts) => {
        const reference = parseReference(formatReference(parts))
        assert.deepEqual(parseReference(formatReference(reference)), reference)
        assert.deepEqual(parseReference(familiarReference(reference)), reference)
      }),
    )
  })

  it('throws nothing but its own error, whatever the text', () => {
    const alphabet = fc.constantFrom(...'aA0.-_/:@[]\n %\u00e9'.split(''), 'sha256:', HEX_64)
    fc.assert(
      fc.property(fc.array(alphabet, { maxLength: 30 }), (pieces) => {
        const text = pieces.join('')
        try {
          assert.deepEqual(
            parseReference(formatReference(parseReference(text))),
            parseReference(text),
          )
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'REFERENCE_INVALID')
        }
      }),
      { numRuns: 2000 },
    )
  })
})

type Parts = ReturnType<typeof parseReference>

function references(): fc.Arbitrary<Parts> {
  const component = fc.stringMatching(/^[a-z0-9]{1,5}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}$/)
  const repository = fc
    .array(component, { minLength: 1, maxLength: 5 })
    .map((components) => parseRepositoryName(components.join('/')))
  const host = fc.oneof(
    fc.stringMatching(/^[a-zA-Z0-9]([a-zA-Z0-9-]{0,6}[a-zA-Z0-9])?(\.[a-zA-Z0-9]{1,5}){1,3}$/),
    fc.constant('localhost'),
    fc.ipV6().map((address) => `[${address}]`),
  )
  const registry = fc
    .tuple(host, fc.option(fc.integer({ min: 0, max: 65535 }), { nil: undefined }))
    .map(([name, port]) => (port === undefined ? name : `${name}:${port}`))
    .filter((name) => !name.includes('.docker.io') && /^\[[0-9a-fA-F:]+\]|^[^[]/.test(name))
  return fc
    .record(
      {
        registry,
        repository,
        tag: fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}$/).map(parseTag),
        digest: fc.uint8Array().map((bytes) => digestOf(bytes)),
      },
      { requiredKeys: ['registry', 'repository'] },
    )
    .map((parts) => ({ ...parts }))
}
