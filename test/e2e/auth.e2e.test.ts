/** Real clients log in, push where they may, pull what is public without a word, and are refused the rest. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { clientsIn, runClient } from '../support/clients.ts'
import { basic, htpasswdOf } from '../support/closed-registry.ts'
import { type Daemon, startContainerd, startDockerd } from '../support/daemons.ts'
import { type RunningRegistry, startRegistryProcess } from '../support/dray.ts'
import { createSender } from '../support/http.ts'
import { type OidcIssuer, startOidcIssuer } from '../support/oidc-issuer.ts'
import { smallImage, tarOf, writeLayout } from '../support/small-image.ts'

const dir = `/tmp/dray-auth-${randomBytes(4).toString('hex')}`
const dockerSocket = join(dir, 'd/docker.sock')
const containerdSocket = join(dir, 'c/containerd.sock')
const layout = join(dir, 'layout')
const PASSWORD = 'correct horse'
const daemons: Daemon[] = []
let platform: OidcIssuer

before(async () => {
  mkdirSync(dir)
  writeLayout(layout, smallImage([tarOf({ hello: 'first layer' }), tarOf({ last: 'layer' })]))
  writeFileSync(join(dir, 'htpasswd'), htpasswdOf({ alice: PASSWORD }))
  platform = await startOidcIssuer()
  daemons.push(await startDockerd(join(dir, 'd')), await startContainerd(join(dir, 'c')))
})
after(async () => {
  platform.stop()
  for (const daemon of daemons) await daemon.stop()
  rmSync(dir, { recursive: true, force: true })
})

const run = (program: string, ...args: readonly string[]) => runClient(dir, program, ...args)
const docker = (...args: readonly string[]) =>
  run('docker', '-H', `unix://${dockerSocket}`, ...args)

/** How each client is told who its user is; containerd is told each time. */
const LOG_INS: Readonly<Record<string, (host: string, ...user: string[]) => Promise<unknown>>> = {
  docker: (host, ...user) => docker('login', ...user, host),
  podman: (host, ...user) => run('podman', 'login', '--tls-verify=false', ...user, host),
  buildah: (host, ...user) => run('buildah', 'login', '--tls-verify=false', ...user, host),
  skopeo: (host, ...user) => run('skopeo', 'login', '--tls-verify=false', ...user, host),
  crane: (host, ...user) => run('crane', 'auth', 'login', ...user, host),
  oras: (host, ...user) => run('oras', 'login', '--plain-http', ...user, host),
}

function configFor(challenge: string): string {
  const every = ['pull', 'push', 'overwrite', 'delete', 'list']
  const claims = { repository: 'acme/*', ref: 'refs/heads/main' }
  const path = join(dir, `${challenge}.json`)
  const auth = {
    ...{ htpasswd: join(dir, 'htpasswd'), challenge },
    issuers: [{ name: 'ci', issuer: platform.url, audience: 'registry' }],
    rules: [
      { name: 'alice', subjects: ['user:alice'], repositories: ['**'], actions: every },
      { name: 'public', subjects: ['anyone'], repositories: ['public/**'], actions: ['pull'] },
      {
        name: 'ci',
        subjects: [{ issuer: 'ci', claims }],
        repositories: ['acme/**'],
        actions: ['pull', 'push'],
      },
    ],
  }
  writeFileSync(path, JSON.stringify({ auth, logLevel: 'silent' }))
  return path
}

for (const challenge of ['bearer', 'basic']) {
  describe(`a registry that asks for ${challenge === 'bearer' ? 'tokens' : 'passwords'}`, {
    timeout: 900_000,
  }, () => {
    let registry: RunningRegistry
    before(async () => {
      const data = join(dir, challenge)
      registry = await startRegistryProcess(['--config', configFor(challenge), '--data', data])
    })
    after(() => registry.stop())

    const clients = clientsIn({ dir, dockerSocket, containerdSocket, user: `alice:${PASSWORD}` })
    for (const client of clients) {
      it(`lets ${client.name} log in, push and pull`, async () => {
        const { host } = registry
        const logIn = LOG_INS[client.name]
        if (logIn !== undefined) {
          // crane only remembers what it is told.
          const wrong = logIn(host, '-u', 'alice', '-p', 'wrong')
          if (client.name === 'crane') await wrong
          else await assert.rejects(wrong)
          await logIn(host, '-u', 'alice', '-p', PASSWORD)
        }
        const name = `team/${client.name}`
        await client.push(layout, `${host}/${name}:1`)
        const digest = await client.pull(`${host}/${name}:1`)
        await client.pushAgain(`${host}/${name}:1`, `${host}/public/${client.name}:1`)
        const send = createSender([`http://${host}`])
        const headers = { authorization: basic('alice', PASSWORD) }
        const stored = await send('HEAD', `/v2/public/${client.name}/manifests/1`, { headers })
        assert.equal(stored.headers['docker-content-digest'], digest)
        rmSync(join(dir, client.name), { recursive: true, force: true })
      })
    }

    it('lets a job push where its claims allow, and nowhere else', async () => {
      const { host } = registry
      const job = { sub: 'job', repository: 'acme/app', ref: 'refs/heads/main' }
      const copy = async (name: string, claims: object) =>
        run(
          'skopeo',
          ...['copy', '--dest-tls-verify=false', '--dest-creds'],
          `ci:${await platform.token(claims)}`,
          ...[`oci:${layout}:latest`, `docker://${host}/${name}`],
        )
      await copy('acme/app:1', job)
      await assert.rejects(copy('other/app:1', job))
      await assert.rejects(copy('acme/app:1', { ...job, ref: 'refs/heads/feature' }))
      await docker('login', '-u', 'ci', '-p', await platform.token(job), host)
      await docker('pull', '--quiet', `${host}/acme/app:1`)
      await docker('rmi', `${host}/acme/app:1`)
      await assert.rejects(docker('pull', '--quiet', `${host}/team/docker:1`))
    })

    if (challenge === 'basic') return
    it('lets everybody pull what is public, and docker without a log-in the rest no more', async () => {
      const { host } = registry
      const strangers = clientsIn({ dir, dockerSocket, containerdSocket })
      for (const program of ['docker', 'podman', 'buildah', 'skopeo', 'crane', 'oras']) {
        rmSync(join(dir, `home-${program}`), { recursive: true, force: true })
      }
      rmSync(join(dir, 'containers'), { recursive: true, force: true })
      for (const client of strangers) {
        await client.pull(`${host}/public/${client.name}:1`)
        rmSync(join(dir, client.name), { recursive: true, force: true })
        await assert.rejects(client.pull(`${host}/team/${client.name}:1`), client.name)
        rmSync(join(dir, client.name), { recursive: true, force: true })
      }
      await assert.rejects(docker('push', '--quiet', `${host}/public/docker:1`))
    })
  })
}
