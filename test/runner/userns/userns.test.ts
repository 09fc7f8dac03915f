import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkOptions } from '#runner/options.ts'
import { idsFromZero, ownerInside, ownerOutside, withHostRoot } from '#runner/userns/id-map.ts'
import { parseUserNamespace } from '#runner/userns/parse.ts'
import { firstFree, poolsOf } from '#runner/userns/ranges.ts'

const mapping = (containerID: number, hostID: number, size: number) => ({
  containerID,
  hostID,
  size,
})

describe('what is typed of a user namespace', () => {
  it("is the host's by default, a size, or a map", () => {
    assert.equal(parseUserNamespace(undefined, [], []), undefined)
    assert.equal(parseUserNamespace('host', [], []), undefined)
    assert.deepEqual(parseUserNamespace('auto', [], []), { size: 65_536 })
    assert.deepEqual(parseUserNamespace('auto:size=1000', [], []), { size: 1000 })
    const map = parseUserNamespace(undefined, ['0:100000:10', '20:7'], [])
    const mappings = [mapping(0, 100_000, 10), mapping(20, 7, 1)]
    assert.deepEqual(map, { uids: mappings, gids: mappings })
  })

  const wrong: readonly (readonly [string | undefined, readonly string[]])[] = [
    ['keep-id', []],
    ['auto:size=0', []],
    ['host:size=5', []],
    ['other', []],
    ['auto', ['0:100000:10']],
    [undefined, ['0:100000:0']],
    [undefined, ['1:100000:10']],
    [undefined, ['0:100000:10', '5:200000:10']],
    [undefined, ['0:100000:10', '10:100009:10']],
    [undefined, ['0:4294967295:1']],
    [undefined, ['0:x:1']],
  ]
  for (const [mode, maps] of wrong) {
    it(`is refused as ${mode} ${maps.join(' ')}`, () => {
      assert.throws(() => parseUserNamespace(mode, maps, []), { code: 'USAGE' })
    })
  }

  it('holds no root of the host, and says what to write instead', () => {
    for (const text of ['0:0', '0:0:65536']) {
      const message = /0 of the host, which is its root: .* 0:100000:65536, or --userns host$/
      assert.throws(() => parseUserNamespace(undefined, [text], []), { code: 'USAGE', message })
    }
  })

  it('is refused beside namespaces of others', () => {
    for (const others of [{ pid: 'host' }, { network: 'container:x' }, { privileged: true }]) {
      const options = { userns: { size: 10 }, ...others } as Parameters<typeof checkOptions>[0]
      assert.throws(() => checkOptions(options), { code: 'USAGE' })
    }
  })
})

describe('the ids of containers', () => {
  it('are those of containers in /etc/subuid and /etc/subgid, or what nobody uses', () => {
    const [uids, gids] = ['alice:1:5\ncontainers:1000:100\n', 'containers:1050:100']
    assert.deepEqual(poolsOf(uids, gids), [{ first: 1050, end: 1100 }])
    assert.deepEqual(poolsOf('alice:1:5\n', ''), [{ first: 1_879_048_192, end: 2_147_483_647 }])
  })

  it('are the first that are free', () => {
    const pools = [
      { first: 0, end: 100 },
      { first: 1000, end: 1100 },
    ]
    assert.deepEqual(firstFree(pools, [], 60), { first: 0, end: 60 })
    assert.deepEqual(firstFree(pools, [{ first: 0, end: 50 }], 50), { first: 50, end: 100 })
    const taken = [
      { first: 50, end: 60 },
      { first: 0, end: 10 },
    ]
    assert.deepEqual(firstFree(pools, taken, 40), { first: 10, end: 50 })
    assert.deepEqual(firstFree(pools, taken, 60), { first: 1000, end: 1060 })
    assert.equal(firstFree(pools, taken, 200), undefined)
  })

  it('are turned into those of the host and back; strangers become nobody, and root', () => {
    const ids = { uids: [mapping(0, 100, 10)], gids: [mapping(0, 200, 5), mapping(5, 500, 5)] }
    assert.deepEqual(ownerOutside(ids, { uid: 3, gid: 7 }), { uid: 103, gid: 502 })
    assert.deepEqual(ownerInside(ids, { uid: 103, gid: 502 }), { uid: 3, gid: 7 })
    assert.deepEqual(ownerOutside(ids, { uid: 50, gid: 50 }), { uid: 100, gid: 200 })
    assert.deepEqual(ownerInside(ids, { uid: 0, gid: 0 }), { uid: 65_534, gid: 65_534 })
    assert.equal(idsFromZero(ids.gids), 10)
    assert.deepEqual(withHostRoot(ids).uids.at(-1), mapping(10, 0, 1))
  })
})
