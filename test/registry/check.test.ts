import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { checkRegistry } from '#registry/check/check-registry.ts'
import { runChecks } from '#registry/check/findings.ts'
import { parseConfig } from '#registry/index.ts'
import { dray } from '../support/dray.ts'
import { startServer } from '../support/http-server.ts'
import { tempDir } from '../support/temp-dir.ts'

const reportOf = (dataDir: string) => checkRegistry(parseConfig({ env: {}, flags: { dataDir } }))

describe('the check of a directory', () => {
  it('passes where a registry can be, and leaves nothing there', async (t) => {
    const dir = tempDir(t)
    const { findings, isUsable, storage } = await reportOf(join(dir, 'not/there/yet'))
    assert.deepEqual(findings.map(({ check, outcome }) => [check, outcome]).slice(0, 3), [
      ['files', 'ok'],
      ['file system', 'ok'],
      ['records', 'ok'],
    ])
    assert.ok(isUsable)
    assert.equal(storage, join(dir, 'not/there/yet'))
    assert.deepEqual(readdirSync(dir), [])
  })

  it('leaves alone what is there', async (t) => {
    const dir = tempDir(t)
    mkdirSync(join(dir, 'uploads/open'), { recursive: true })
    await reportOf(dir)
    assert.deepEqual(readdirSync(dir), ['uploads'])
    assert.ok(existsSync(join(dir, 'uploads/open')))
  })

  it('says what is wrong, and goes no further', async (t) => {
    const file = join(tempDir(t), 'file')
    writeFileSync(file, '')
    const { findings, isUsable, says } = await reportOf(file)
    assert.deepEqual(
      findings.map(({ check, outcome }) => [check, outcome]),
      [['files', 'failed']],
    )
    assert.equal(isUsable, false)
    assert.match(says, /can't be used: cannot use .*file.*choose another/)
  })

  it('touches nothing in a file system of the kernel', async () => {
    const { says } = await reportOf('/proc/registry')
    assert.match(says, /\/proc\/registry is in a file system of the kernel, proc: use another/)
  })

  it('is printed as a table or as JSON, and tells by its exit code', async (t) => {
    const dir = tempDir(t)
    const table = await dray(['registry', 'check', '--data', dir])
    assert.equal(table.code, 0)
    assert.match(table.stdout, /^ok {6}files +written[\s\S]*\n\n.*: it can be used: /)
    const file = join(dir, 'file')
    writeFileSync(file, '')
    const json = await dray(['registry', 'check', '--json'], { env: { DRAY_DATA_DIR: file } })
    assert.equal(json.code, 1)
    assert.equal(JSON.parse(json.stdout).findings[0].outcome, 'failed')
  })
})

describe('checks', () => {
  const failing = async () => {
    throw new Error('no')
  }
  it('fail only for what is needed', async () => {
    const findings = await runChecks([
      { name: 'a', isNeeded: true, run: async () => 'yes' },
      { name: 'b', isNeeded: false, run: failing },
      { name: 'c', isNeeded: true, run: failing },
      { name: 'd', isNeeded: true, run: async () => 'yes' },
    ])
    assert.deepEqual(
      findings.map(({ outcome }) => outcome),
      ['ok', 'no', 'failed', 'ok'],
    )
  })
})

describe('the check of a bucket that cannot be used', () => {
  const answers = [
    ['InvalidAccessKeyId', 403, /does not know our access key: correct AWS_ACCESS_KEY_ID/],
    ['SignatureDoesNotMatch', 403, /refuses our signature: correct AWS_SECRET_ACCESS_KEY/],
    ['AccessDenied', 403, /refuses our credentials: they need s3:PutObject and s3:GetObject/],
    ['ExpiredToken', 400, /session token, which has expired: get new credentials/],
    ['AuthorizationHeaderMalformed', 400, /is in another region: correct s3\.region/],
    ['QuotaExceeded', 403, /is full: make room, or raise its quota/],
    ['NoSuchBucket', 404, /does not exist: create it/],
  ] as const
  const saysOf = async (endpoint: string) => {
    const s3 = { bucket: 'b', endpoint, pathStyle: true }
    return (await checkRegistry(parseConfig({ env: {}, flags: { s3 } }))).says
  }

  for (const [code, status, expected] of answers) {
    it(`says what to change when the server answers ${code}`, async (t) => {
      process.env.AWS_ACCESS_KEY_ID = process.env.AWS_SECRET_ACCESS_KEY = 'x'
      const server = await startServer((_request, response) => {
        response.writeHead(status, { 'content-type': 'application/xml' })
        response.end(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`)
      })
      t.after(() => server.close())
      assert.match(await saysOf(`http://${server.host}`), expected)
    })
  }

  it('says why it cannot be reached', async (t) => {
    const server = await startServer(() => {})
    t.after(() => server.close())
    assert.match(
      await saysOf(`https://${server.host}`),
      /it does not speak TLS.*correct s3\.endpoint/,
    )
    assert.match(await saysOf('http://127.0.0.1:1'), /ECONNREFUSED.*see whether it runs/)
  })
})
