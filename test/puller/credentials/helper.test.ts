import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test'
import { credentialFinder } from '#puller/credentials/find.ts'
import { credentialHelper } from '#puller/credentials/helper.ts'
import { forgetCredential, keepCredential, registriesIn } from '#puller/credentials/keep.ts'
import { tempDir } from '../../support/temp-dir.ts'

const SECRET = { kind: 'password', username: 'me', password: 'hunter2' } as const

let path: string | undefined
beforeEach(() => {
  path = process.env.PATH
})
afterEach(() => {
  process.env.PATH = path
})

/** Puts a helper on the PATH. */
function helper(t: TestContext, name: string, script: string): string {
  const dir = tempDir(t)
  const file = join(dir, `docker-credential-${name}`)
  writeFileSync(file, `#!/bin/sh\ncd ${dir}\n${script}\n`)
  chmodSync(file, 0o755)
  process.env.PATH = `${dir}:${process.env.PATH}`
  return dir
}

/** Keeps what it is given in one file. */
const KEEPER = `
case $1 in
  store) cat > kept ;;
  erase) cat > erased; rm -f kept ;;
  list) [ -e kept ] && echo '{"r.example":"me"}' || echo '{}' ;;
  get) cat > asked; [ -e kept ] && exec cat kept; echo 'credentials not found in native keychain'; exit 1 ;;
esac`

describe('a credential helper', () => {
  it('is asked by the name that docker has for the registry', async (t) => {
    const dir = helper(t, 'x', KEEPER)
    const config = join(tempDir(t), 'config.json')
    writeFileSync(config, '{"credsStore":"x"}')
    assert.equal(await credentialFinder([config])('docker.io'), undefined)
    assert.equal(readFileSync(join(dir, 'asked'), 'utf8'), 'https://index.docker.io/v1/')
    await credentialFinder([config])('r.example:5000')
    assert.equal(readFileSync(join(dir, 'asked'), 'utf8'), 'r.example:5000')
  })

  it('of a registry goes before that of all, and both before the file', async (t) => {
    helper(t, 'one', `echo '{"ServerURL":"s","Username":"one","Secret":"1"}'`)
    helper(t, 'all', `echo '{"ServerURL":"s","Username":"<token>","Secret":"refresh"}'`)
    const config = join(tempDir(t), 'config.json')
    const auth = Buffer.from('file:1').toString('base64')
    const auths = { 'a.example': { auth }, 'b.example': { auth } }
    writeFileSync(
      config,
      JSON.stringify({ auths, credsStore: 'all', credHelpers: { 'a.example': 'one' } }),
    )
    const find = credentialFinder([config])
    assert.deepEqual(await find('a.example'), {
      kind: 'password',
      username: 'one',
      password: '1',
    })
    assert.deepEqual(await find('b.example'), { kind: 'identity-token', token: 'refresh' })
  })

  const FAILURES = [
    { what: 'prints no JSON', script: 'echo hunter2', says: /JSON/ },
    { what: 'leaves out the secret', script: `echo '{"Username":"hunter2"}'`, says: /Secret/ },
    { what: 'fails', script: 'echo hunter2; echo locked >&2; exit 1', says: /locked/ },
    { what: 'fails without a word', script: 'exit 3', says: /it failed/ },
    { what: 'reads nothing', script: 'exec <&-; echo hunter2; exit 1', says: /it failed/ },
  ]
  for (const { what, script, says } of FAILURES) {
    it(`that ${what} is named, and its output isn't shown`, async (t) => {
      helper(t, 'bad', script)
      await assert.rejects(credentialHelper('bad').get('r.example'), (error: Error) => {
        assert.match(error.message, says)
        assert.doesNotMatch(`${error.stack} ${error.cause}`, /hunter2/)
        return true
      })
    })
  }

  it('that is not there is named', async () => {
    await assert.rejects(credentialHelper('no-such').get('r.example'), {
      code: 'CONFIG_INVALID',
      message: /docker-credential-no-such: it is not on the PATH/,
    })
  })

  for (const name of ['', '../x', 'a/b', '-x', 'a b', 'a\0']) {
    it(`can't be called ${JSON.stringify(name)}`, () => {
      assert.throws(() => credentialHelper(name), { code: 'CONFIG_INVALID' })
    })
  }
})

describe('a kept credential', () => {
  it('is found again, for its owner alone to read, and forgotten', async (t) => {
    const file = join(tempDir(t), 'deep/config.json')
    assert.deepEqual(await keepCredential(file, 'r.example', SECRET), { file })
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.deepEqual(await credentialFinder([file])('r.example'), SECRET)
    assert.equal(await forgetCredential(file, 'r.example'), true)
    assert.equal(await forgetCredential(file, 'r.example'), false)
    assert.equal(await credentialFinder([file])('r.example'), undefined)
  })

  it('leaves all else in the file as it was, also behind a link', async (t) => {
    const dir = tempDir(t)
    const target = join(dir, 'dotfiles.json')
    const file = join(dir, 'config.json')
    const before = {
      auths: {
        'other.example': { auth: 'bWU6eA==' },
        'https://r.example/v1/': { auth: 'b2xkOng=' },
      },
      HttpHeaders: { a: 'b' },
      currentContext: 'c',
    }
    writeFileSync(target, JSON.stringify(before))
    symlinkSync(target, file)
    await keepCredential(file, 'r.example', { kind: 'identity-token', token: 'refresh' })
    assert.deepEqual(JSON.parse(readFileSync(target, 'utf8')), {
      ...before,
      auths: {
        'other.example': before.auths['other.example'],
        'r.example': { identitytoken: 'refresh' },
      },
    })
  })

  it('goes to the helper that the file names, and from it', async (t) => {
    const dir = helper(t, 'x', KEEPER)
    const file = join(tempDir(t), 'config.json')
    writeFileSync(file, '{"credsStore":"x"}')
    assert.deepEqual(await keepCredential(file, 'r.example', SECRET), { helper: 'x' })
    assert.deepEqual(JSON.parse(readFileSync(join(dir, 'kept'), 'utf8')), {
      ServerURL: 'r.example',
      Username: 'me',
      Secret: 'hunter2',
    })
    assert.doesNotMatch(readFileSync(file, 'utf8'), /hunter2|aHVudGVy/)
    assert.deepEqual(await registriesIn(file), ['r.example'])
    assert.equal(await forgetCredential(file, 'r.example'), true)
    assert.deepEqual(await registriesIn(file), [])
    assert.equal(existsSync(join(dir, 'kept')), false)
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), { auths: {}, credsStore: 'x' })
  })

  it('is not kept in a file that is damaged, which stays as it is', async (t) => {
    const file = join(tempDir(t), 'config.json')
    mkdirSync(join(file, '..'), { recursive: true })
    writeFileSync(file, '{"auths":')
    await assert.rejects(keepCredential(file, 'r.example', SECRET), { code: 'CONFIG_INVALID' })
    assert.equal(readFileSync(file, 'utf8'), '{"auths":')
  })
})
