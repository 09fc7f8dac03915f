/** Real clients push an image of four layers, pull it and push it on, and nothing changes on the way. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { clientsIn, runClient } from '../support/clients.ts'
import { type Daemon, startContainerd, startDockerd } from '../support/daemons.ts'
import type { RunningRegistry } from '../support/dray.ts'
import { createSender, type Send } from '../support/http.ts'
import { smallImage, tarOf, writeLayout } from '../support/small-image.ts'
import { STORAGES } from '../support/storages.ts'

// Short, for the sockets in it, and in lower case, since podman makes names of images of it.
const dir = `/tmp/dray-clients-${randomBytes(4).toString('hex')}`
const IMAGE = smallImage([
  tarOf({ hello: 'first layer' }),
  tarOf({ large: randomBytes(7_000_000) }),
  tarOf({ hello: 'third layer' }),
  tarOf({ last: 'fourth layer' }),
])
const daemons: Daemon[] = []
const clients = clientsIn({
  dir,
  dockerSocket: join(dir, 'd/docker.sock'),
  containerdSocket: join(dir, 'c/containerd.sock'),
})

before(async () => {
  mkdirSync(dir)
  writeLayout(join(dir, 'layout'), IMAGE)
  daemons.push(await startDockerd(join(dir, 'd')), await startContainerd(join(dir, 'c')))
})
after(async () => {
  for (const daemon of daemons) await daemon.stop()
  rmSync(dir, { recursive: true, force: true })
})

for (const storage of STORAGES) {
  describe(`a registry on ${storage.name}`, { concurrency: 4 }, () => {
    let registry: RunningRegistry
    let send: Send
    before(async () => {
      const data = join(dir, storage.name)
      mkdirSync(data)
      registry = await storage.start(data)
      send = createSender([`http://${registry.host}`])
    })
    after(() => registry.stop())

    const manifestOf = async (name: string) => {
      const { status, headers, body } = await send('GET', `/v2/${name}/manifests/1`)
      assert.equal(status, 200)
      const digest = digestOf(body)
      assert.equal(headers['docker-content-digest'], digest)
      return { digest, layers: JSON.parse(body.toString()).layers.length }
    }

    for (const client of clients) {
      it(`keeps the digest of what ${client.name} pushes, pulls and pushes on`, async () => {
        const first = `${registry.host}/${client.name}/image:1`
        const other = `${registry.host}/${client.name}/again:1`
        await client.push(join(dir, 'layout'), first)
        const pushed = await manifestOf(`${client.name}/image`)
        assert.equal(pushed.layers, 4)
        assert.equal(await client.pull(first), pushed.digest)
        await client.pushAgain(first, other)
        assert.deepEqual(await manifestOf(`${client.name}/again`), pushed)
        rmSync(join(dir, client.name), { recursive: true, force: true })
      })
    }

    it('lets oras attach an artifact to an image and discover it', async () => {
      const reference = `${registry.host}/attached/image:1`
      const oras = (...args: readonly string[]) => runClient(dir, 'oras', ...args)
      const type = 'application/vnd.example.sbom'
      const file = join(dir, `${registry.host.replace(':', '-')}.json`)
      writeFileSync(file, '{"packages":[]}')
      await oras('cp', '--from-oci-layout', `${dir}/layout:latest`, '--to-plain-http', reference)
      const about = ['--plain-http', '--artifact-type', type, reference]
      await oras('attach', '--disable-path-validation', ...about, `${file}:application/json`)
      const found = JSON.parse(await oras('discover', '--format', 'json', ...about))
      const [referrer] = found.referrers
      assert.equal(referrer.artifactType, type)
      const { body } = await send('GET', `/v2/attached/image/manifests/${referrer.digest}`)
      assert.equal(JSON.parse(body.toString()).subject.digest, IMAGE.manifest.digest)
      const tags = await send('GET', '/v2/attached/image/tags/list')
      assert.deepEqual(JSON.parse(tags.body.toString()).tags, ['1'])
    })
  })
}
