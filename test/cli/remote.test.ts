import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { drayHere } from '../support/dray-here.ts'
import { startServer } from '../support/http-server.ts'
import { type OpenRegistry, startOpenRegistry } from '../support/open-registry.ts'
import { smallImage, tarOf, writeLayout } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'

const IMAGE = smallImage([tarOf({ hello: 'there' })])

async function ok(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await drayHere(args)
  assert.equal(code, 0, stderr)
  return stdout
}

/** A registry with team/app:1 and :2, the same image. */
async function filled(t: TestContext): Promise<OpenRegistry> {
  const registry = await startOpenRegistry(t)
  const layout = join(tempDir(t), 'layout')
  writeLayout(layout, IMAGE)
  for (const tag of ['1', '2'])
    await ok('copy', '-q', `oci:${layout}`, `${registry.host}/team/app:${tag}`)
  return registry
}

describe('--all-tags', () => {
  it('copies, pulls and pushes all tags of a repository', async (t) => {
    const { host } = await filled(t)
    const dir = tempDir(t)
    const store = ['--root', join(dir, 'root'), '--progress', 'none']
    const tagsOf = (name: string) => ok('remote', 'tags', `${host}/${name}`)
    await ok('copy', '--all-tags', ...store, `${host}/team/app`, `${host}/mirror/app`)
    assert.equal(await tagsOf('mirror/app'), '1\n2\n')
    await ok('copy', '--all-tags', ...store, `${host}/team/app`, `oci:${dir}/layout`)
    await ok('copy', '-q', `oci:${dir}/layout:2`, `${host}/team/app:sha256-ab.sig`)
    await ok('pull', '-a', '--no-unpack', '--platform', 'linux/amd64', ...store, `${host}/team/app`)
    await ok('push', '-a', ...store, `${host}/team/app`, `${host}/other/app`)
    assert.equal(await tagsOf('other/app'), '1\n2\n', 'a signature is no version')
  })
})

describe('--digestfile', () => {
  it('gets nothing but the digest of what was sent', async (t) => {
    const { host } = await filled(t)
    const dir = tempDir(t)
    writeLayout(`${dir}/layout`, IMAGE)
    for (const verb of ['copy', 'push']) {
      const file = join(dir, verb)
      const options = ['-q', '--root', `${dir}/root`, '--digestfile', file]
      await ok(verb, ...options, `oci:${dir}/layout`, `${host}/sent:1`)
      assert.equal(readFileSync(file, 'utf8'), IMAGE.manifest.digest)
    }
  })
})

describe('dray remote', () => {
  it('tells what a registry has, and pulls no layer', async (t) => {
    const { host, log } = await filled(t)
    log.length = 0
    const { digest } = IMAGE.manifest
    const app = `${host}/team/app`
    assert.equal(await ok('remote', 'tags', app), '1\n2\n')
    assert.equal(await ok('remote', 'repositories', host), 'team/app\n')
    assert.equal(await ok('remote', 'digest', `docker://${app}:1`), `${digest}\n`)
    const manifest = await ok('remote', 'manifest', `${app}:1`)
    assert.equal(digestOf(manifest), digest)
    const { config, layers } = JSON.parse(manifest)
    assert.equal(digestOf(await ok('remote', 'config', `${app}@${digest}`)), config.digest)
    assert.equal(await ok('remote', 'referrers', '-q', `${app}:1`), '')
    assert.ok(!log.some((line) => line.includes(layers[0].digest)))
  })

  it('removes a tag, and by a digest the manifest with all its tags', async (t) => {
    const { host } = await filled(t)
    const app = `${host}/team/app`
    const gone = await drayHere(['remote', 'rm', `${app}:1`, `${app}:3`])
    assert.deepEqual([gone.code, gone.stdout], [1, `${app}:1\n`])
    assert.match(gone.stderr, /has no team\/app, or no 3 in it/)
    assert.equal(await ok('remote', 'tags', app), '2\n')
    await ok('remote', 'rm', `${app}@${IMAGE.manifest.digest}`)
    assert.equal((await drayHere(['remote', 'digest', `${app}:2`])).code, 1)
    assert.match((await drayHere(['remote', 'rm', app])).stderr, /write .*\/team\/app:TAG or @DIG/)
    assert.match(
      (await drayHere(['remote', 'tags', `${host}/none`])).stderr,
      /cannot list the tags of .* has no none$/m,
    )
  })

  it('reads lists page by page, and says what to do without one, or without removals', async (t) => {
    const { host, close } = await startServer(({ url = '', method }, response) => {
      if (url === '/v2/') return response.end()
      if (method === 'DELETE') return response.writeHead(405).end()
      if (!url.startsWith('/v2/app/tags/list')) return response.writeHead(404).end()
      if (url.includes('last=a')) return response.end('{"name":"app","tags":["b"]}')
      const link = '</v2/app/tags/list?n=1&last=a>; rel="next"'
      return response.writeHead(200, { link }).end('{"name":"app","tags":["a"]}')
    })
    t.after(close)
    assert.equal(await ok('remote', 'tags', `${host}/app`), 'a\nb\n')
    const catalog = await drayHere(['remote', 'repositories', host])
    assert.match(catalog.stderr, /has no such list, as Docker Hub/)
    const tag = await drayHere(['remote', 'rm', `${host}/app:1`])
    assert.match(tag.stderr, /405.*: dray remote rm .*\/app@\$\(dray remote digest .*\/app:1\)$/m)
    const manifest = await drayHere(['remote', 'rm', `${host}/app@${IMAGE.manifest.digest}`])
    assert.match(manifest.stderr, /may not let anybody remove images/)
  })
})
