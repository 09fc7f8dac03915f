import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { pino } from 'pino'
import { parseHtpasswd, readHtpasswd } from '#registry/auth/htpasswd.ts'
import { createPasswordCheck } from '#registry/auth/password-check.ts'
import { watchFiles } from '#registry/net/watched-file.ts'
import { createPasswordThread } from '#registry/password-thread.ts'
import { htpasswdOf } from '../../support/closed-registry.ts'

const HASH = '$2y$05$W5XzQo6NVSPOa/hhYM5X2.CULgXjKh8TfMvRHCDcBvMd9UbNw6iAy'

describe('an htpasswd file', () => {
  it('holds a user and a bcrypt hash a line', () => {
    const text = `# people\n\nalice:${HASH}\r\nbob@example.org:${HASH}\n`
    assert.deepEqual([...parseHtpasswd(text).keys()], ['alice', 'bob@example.org'])
  })

  const refused: Readonly<Record<string, string>> = {
    'no hash': 'alice',
    'an empty hash': 'alice:',
    'a password in plain text': 'alice:correct horse',
    'an MD5 hash': 'alice:$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00',
    'a SHA-1 hash': 'alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=',
    'a hash that takes minutes': `alice:${HASH.replace('$05$', '$31$')}`,
    'a hash that takes no time': `alice:${HASH.replace('$05$', '$03$')}`,
    'no user': `:${HASH}`,
    'a user twice': `alice:${HASH}\nalice:${HASH}`,
    'a pattern for a user': `*:${HASH}`,
  }
  for (const [what, text] of Object.entries(refused)) {
    it(`is refused with ${what}, without repeating it`, () => {
      const secret = text.split(':')[1] || 'nothing'
      assert.throws(
        () => parseHtpasswd(text),
        ({ code, message }) =>
          code === 'CONFIG_INVALID' && /line \d/.test(message) && !message.includes(secret),
      )
    })
  }
})

describe('a watched file', () => {
  const dir = mkdtempSync(join(tmpdir(), 'dray-watch-'))
  const path = join(dir, 'htpasswd')
  after(() => rmSync(dir, { recursive: true }))

  it('is read again when it has changed, and stays when it can no longer be used', () => {
    let time = 0
    const write = (users: Record<string, string>) => writeFileSync(path, htpasswdOf(users))
    write({ alice: 'a' })
    const logger = pino({ level: 'silent' })
    const read = watchFiles([path], () => readHtpasswd(path), { logger, now: () => time })
    const names = () => [...read().keys()]
    assert.deepEqual(names(), ['alice'])
    write({ alice: 'a', bob: 'b' })
    assert.deepEqual(names(), ['alice'], 'it looked a moment ago')
    time += 1000
    assert.deepEqual(names(), ['alice', 'bob'])
    writeFileSync(path, 'broken')
    time += 1000
    assert.deepEqual(names(), ['alice', 'bob'])
    rmSync(path)
    time += 1000
    assert.deepEqual(names(), ['alice', 'bob'])
    write({ carol: 'c' })
    time += 1000
    assert.deepEqual(names(), ['carol'])
  })
})

describe('the check of a password', () => {
  const thread = createPasswordThread()
  after(() => thread.close())
  const passwords = parseHtpasswd(htpasswdOf({ alice: 'right', bob: 'bobs' }))
  let compared = 0
  const isPassword = createPasswordCheck(() => passwords, {
    ...thread,
    compare(password, hash) {
      compared++
      return thread.compare(password, hash)
    },
  })

  it('knows the right one from others', async () => {
    assert.equal(await isPassword('alice', 'right'), true)
    for (const wrong of ['wrong', '', 'Right', 'right ', 'bobs', 'x'.repeat(73)]) {
      assert.equal(await isPassword('alice', wrong), false, wrong)
    }
    assert.equal(await isPassword('nobody', 'right'), false)
  })

  it('compares the right one once, and a wrong one each time', async () => {
    compared = 0
    await Promise.all(Array.from({ length: 5 }, () => isPassword('bob', 'bobs')))
    await isPassword('bob', 'bobs')
    assert.equal(compared, 1)
    await isPassword('bob', 'wrong')
    await isPassword('bob', 'wrong')
    assert.equal(compared, 3)
  })

  it('compares for users who do not exist, too', async () => {
    compared = 0
    assert.equal(await isPassword('mallory', 'right'), false)
    assert.equal(compared, 1)
  })

  it('takes no more at once than it can do in seconds', async () => {
    const tries = Array.from({ length: 80 }, (_, i) => isPassword('alice', `wrong ${i}`))
    const refused = (await Promise.allSettled(tries)).filter(({ status }) => status === 'rejected')
    assert.equal(refused.length, 16)
  })
})
