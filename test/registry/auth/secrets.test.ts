import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { basic, htpasswdOf } from '../../support/closed-registry.ts'
import { startDray } from '../../support/dray.ts'
import { createSender } from '../../support/http.ts'
import { tempDir } from '../../support/temp-dir.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

describe('whatever a registry writes and answers', () => {
  it('holds no password and no token, at its most talkative', async (t) => {
    const dir = tempDir(t)
    const htpasswd = join(dir, 'htpasswd')
    writeFileSync(htpasswd, htpasswdOf({ alice: 'the-password' }))
    const config = join(dir, 'config.json')
    const rules = [
      { name: 'r', subjects: ['users'], repositories: ['**'], actions: ['pull', 'push', 'list'] },
    ]
    writeFileSync(config, JSON.stringify({ auth: { htpasswd, rules }, logLevel: 'debug' }))
    const args = ['--listen', '127.0.0.1:0', '--data', join(dir, 'data'), '--workers', '1']
    const child = startDray(['serve', ...args, '--config', config])
    t.after(() => child.kill('SIGKILL'))
    let written = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        written += chunk
      })
    }
    while (!/listening on http:[^\s,]+/.test(written)) await once(child.stderr, 'data')
    const url = /listening on (http:[^\s,]+)/.exec(written)?.[1] ?? ''
    const send = createSender([url])
    const answers: string[] = []
    const ask = async (
      method: string,
      path: string,
      headers: Record<string, string>,
      body = '',
    ) => {
      const answer = await send(method, path, { headers, body })
      if (answer.status >= 400) answers.push(JSON.stringify([answer.headers, String(answer.body)]))
      return answer
    }
    const right = { authorization: basic('alice', 'the-password') }
    const issued = await ask('GET', '/token?scope=repository:a:pull&offline_token=true', right)
    const { token, refresh_token: refresh } = JSON.parse(String(issued.body))
    const secrets = [token, refresh, 'the-password', 'wrong-password', 'password-as-name']
    secrets.push(basic('alice', 'the-password'), ...token.split('.').slice(1), 'query-secret')

    await ask('GET', '/v2/a/tags/list?token=query-secret', { authorization: `Bearer ${token}` })
    await ask('DELETE', '/v2/a/manifests/1', { authorization: `Bearer ${token}` })
    await ask('GET', '/v2/', { authorization: `Bearer ${token}x` })
    await ask('GET', '/v2/', { authorization: `Bearer ${refresh}` })
    await ask('GET', '/v2/', { authorization: `Basic ${token}` })
    await ask('GET', '/v2/', { authorization: basic('alice', 'wrong-password') })
    await ask('GET', '/v2/', { authorization: basic('password-as-name', 'wrong-password') })
    await ask('GET', `/v2/a/manifests/${'x'.repeat(200)}?token=query-secret`, right)
    await ask('GET', '/token?scope=query-secret:the', right)
    for (const form of [
      { grant_type: 'password', username: 'alice', password: 'wrong-password' },
      { grant_type: 'refresh_token', refresh_token: token },
      { grant_type: 'refresh_token', refresh_token: `${refresh}x` },
      { grant_type: 'wrong', username: 'password-as-name', password: 'the-password' },
    ]) {
      await ask('POST', '/token', FORM, new URLSearchParams(form).toString())
    }
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    await exited
    assert.match(written, /"audit":"refused"/)
    assert.match(written, /"tried":"alice"/)
    assert.ok(answers.length >= 10)
    for (const secret of secrets) {
      assert.ok(!written.includes(secret), `the log holds ${secret}`)
      // What a client got wrong in a scope is shown to it.
      if (secret === 'query-secret') continue
      for (const answer of answers) assert.ok(!answer.includes(secret), `${secret} in ${answer}`)
    }
  })
})
