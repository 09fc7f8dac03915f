import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ID_LIMIT, resolveUser } from '#runner/user.ts'

const PASSWD = `root:x:0:0:root:/root:/bin/bash
app:x:1000:1001:App,,,:/home/app:/bin/sh
app:x:0:0:second line of the same name:/root:/bin/sh
1234:x:0:0:a number for a name:/root:/bin/sh
nohome:x:1002:1002
relative:x:1003:1003::home:/bin/sh
`
const GROUP = `root:x:0:
app:x:1001:
wheel:x:10:root,app
video:x:44:app
video2:x:44:app
99:x:0:app
`

function resolve(user: string, passwd = PASSWD, group = GROUP) {
  return resolveUser(user, { passwd, group })
}

const ROOT = { uid: 0, gid: 0, additionalGids: [10], home: '/root' }
const APP = { uid: 1000, gid: 1001, additionalGids: [10, 44, 0], home: '/home/app' }

const FOUND: readonly (readonly [string, ReturnType<typeof resolve>])[] = [
  ['', ROOT],
  ['root', ROOT],
  ['0', ROOT],
  [':', ROOT],
  ['app', APP],
  ['1000', APP],
  ['app:', APP],
  ['app:wheel', { ...APP, gid: 10, additionalGids: [] }],
  ['app:55', { ...APP, gid: 55, additionalGids: [] }],
  [':44', { ...ROOT, gid: 44, additionalGids: [] }],
  ['4242', { uid: 4242, gid: 0, additionalGids: [], home: '/' }],
  ['4242:4243', { uid: 4242, gid: 4243, additionalGids: [], home: '/' }],
  ['1234', { uid: 1234, gid: 0, additionalGids: [], home: '/' }],
  ['1000:99', { ...APP, gid: 99, additionalGids: [] }],
  ['007', { uid: 7, gid: 0, additionalGids: [], home: '/' }],
  [String(ID_LIMIT), { uid: ID_LIMIT, gid: 0, additionalGids: [], home: '/' }],
  ['nohome', { uid: 1002, gid: 1002, additionalGids: [], home: '/' }],
  ['relative', { uid: 1003, gid: 1003, additionalGids: [], home: '/' }],
]

const UNKNOWN = [
  'nobody',
  'app:nogroup',
  'APP',
  'app ',
  '-1',
  '+0',
  '+5',
  '2147483648',
  '4294967295',
  '4294967296',
  '18446744073709551616',
  '99999999999999999999999',
  '0:-1',
  '0:4294967296',
  '0x0',
  '1e3',
  '1.0',
  '0:0:0',
  'root\n',
  '٣',
]

const HOSTILE_LINES = [
  'bad:x:4294967296:0::/:/bin/sh',
  'bad:x:-0:0::/:/bin/sh',
  'bad:x:-1:0::/:/bin/sh',
  'bad:x::0::/:/bin/sh',
  'bad:x: 0:0::/:/bin/sh',
  'bad:x:0x0:0::/:/bin/sh',
  'bad:x:zero:0::/:/bin/sh',
  'bad:x:0:4294967296::/:/bin/sh',
  'bad:x:0::::',
  'bad',
  'bad:x',
  'bad::',
]

describe('a user', () => {
  for (const [user, expected] of FOUND) {
    it(`is found for ${JSON.stringify(user)}`, () => {
      assert.deepEqual(resolve(user), expected)
    })
  }

  for (const user of UNKNOWN) {
    it(`is unknown for ${JSON.stringify(user)}`, () => {
      assert.throws(() => resolve(user), { code: 'USER_UNKNOWN' })
    })
  }

  for (const line of HOSTILE_LINES) {
    it(`is never made of the line ${JSON.stringify(line)}`, () => {
      assert.throws(() => resolve('bad', `${line}\n`), { code: 'USER_UNKNOWN' })
      assert.equal(resolve('0', `${line}\n`).gid, 0)
    })
  }

  it('is root of group 0 without databases', () => {
    const nobody = { uid: 0, gid: 0, additionalGids: [], home: '/' }
    assert.deepEqual(resolve('', '', ''), nobody)
    assert.throws(() => resolve('root', '', ''), { code: 'USER_UNKNOWN' })
  })

  it('has no group of a line whose number is out of range', () => {
    assert.deepEqual(resolve('root', PASSWD, 'a:x:4294967296:root\nb:x:-1:root\nc:x::root'), {
      ...ROOT,
      additionalGids: [],
    })
  })
})
