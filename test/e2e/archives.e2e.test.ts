import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { formatPlatform, hostPlatform } from '#oci/platform.ts'
import { runClient } from '../support/clients.ts'
import { containerStore } from '../support/container-store.ts'
import { startContainerd, startDockerd } from '../support/daemons.ts'

const store = containerStore()
const { ok } = store
const NAME = 'docker.io/library/busybox:1'

describe('archives of images', { timeout: 900_000 }, () => {
  let dir = ''
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'dray-test-'))
  })
  after(() => rmSync(dir, { recursive: true, force: true }))
  const podman = (...args: readonly string[]) =>
    runClient(
      dir,
      'podman',
      `--root=${join(dir, 'podman')}`,
      `--runroot=${join(dir, 'podman-run')}`,
      '--storage-driver=vfs',
      ...args,
    )
  const skopeo = (...args: readonly string[]) => runClient(dir, 'skopeo', ...args)
  const configDigest = async () =>
    JSON.parse(
      await skopeo('inspect', '--raw', `oci:${store.root}/content:${NAME}`),
    ).config.digest.slice('sha256:'.length)

  for (const format of ['docker-archive', 'oci-archive'] as const) {
    it(`go to podman and come back as the same image (${format})`, async () => {
      const [mine, theirs] = [join(dir, `mine-${format}`), join(dir, `theirs-${format}`)]
      await ok('save', '--format', format, '-o', mine, 'busybox:1')
      assert.match(await podman('load', '-q', '-i', mine), /docker\.io\/library\/busybox:1/)
      const id = await podman('images', '--no-trunc', '--format', '{{.ID}}', NAME)
      const config = await configDigest()
      assert.equal(id, `sha256:${config}`)
      await podman('save', '-q', '--format', format, '-o', theirs, NAME)
      await podman('rmi', NAME)
      await ok('rmi', 'busybox:1')
      assert.equal(await ok('images', '-q'), '')
      assert.equal(await ok('load', '-i', theirs), `Loaded image: ${NAME}`)
      assert.equal(await configDigest(), config)
      assert.equal(await ok('run', '--rm', '--network', 'none', 'busybox:1', 'echo', 'hi'), 'hi')
    })

    it(`are read by skopeo, and skopeo's are loaded (${format})`, async () => {
      const [mine, theirs] = [join(dir, `save-${format}`), join(dir, `skopeo-${format}`)]
      await ok('save', '--format', format, '-o', mine, 'busybox:1')
      const again = join(dir, `again-${format}`)
      await ok('save', '--format', format, '-o', again, 'busybox:1')
      assert.ok(readFileSync(mine).equals(readFileSync(again)))
      const config = await configDigest()
      const names = format === 'docker-archive' ? [`:${NAME}`] : ['', `:${NAME}`]
      for (const name of names) {
        const raw = await skopeo('inspect', '--config', '--raw', `${format}:${mine}${name}`)
        assert.equal(JSON.parse(raw).os, 'linux')
      }
      await skopeo('copy', '-q', `${format}:${mine}:${NAME}`, `${format}:${theirs}:team/copied:2`)
      assert.equal(await ok('load', '-i', theirs), 'Loaded image: docker.io/team/copied:2')
      const facts = await skopeo(
        'inspect',
        '--raw',
        `oci:${store.root}/content:docker.io/team/copied:2`,
      )
      assert.equal(JSON.parse(facts).config.digest, `sha256:${config}`)
      await ok('rmi', 'team/copied:2')
    })
  }

  it("go to docker and come back as the same image, by dray's save, load and copy", async (t) => {
    const daemon = await startDockerd(join(dir, 'd'))
    t.after(() => daemon.stop())
    const docker = (...args: readonly string[]) =>
      runClient(dir, 'docker', '-H', `unix://${daemon.socket}`, ...args)
    const idOf = (name: string) => docker('image', 'inspect', '--format', '{{.Id}}', name)
    const config = `sha256:${await configDigest()}`
    const file = (name: string) => join(dir, `docker-${name}`)
    const [saved, copied, theirs] = [file('saved'), file('copied'), file('theirs')]
    await ok('save', '--platform', formatPlatform(hostPlatform()), '-o', saved, 'busybox:1')
    assert.equal(await docker('load', '-i', saved), 'Loaded image: busybox:1')
    assert.equal(await idOf('busybox:1'), config)
    await ok('copy', '-q', 'store:busybox:1', `docker-archive:${copied}:team/copied:2`)
    assert.equal(await docker('load', '-i', copied), 'Loaded image: team/copied:2')
    assert.equal(await idOf('team/copied:2'), config)
    await docker('save', '-o', theirs, 'team/copied:2')
    await ok('copy', '-q', `docker-archive:${theirs}`, 'store:team/back:3')
    assert.equal(await ok('inspect', '-f', '{{.ConfigDigest}}', 'team/back:3'), config)
    assert.equal(await ok('run', '--rm', '--network', 'none', 'team/back:3', 'echo', 'hi'), 'hi')
    await ok('rmi', 'team/back:3')
    await docker('tag', 'busybox:1', 'team/two:2')
    await docker('save', '-o', theirs, 'team/copied:2', 'team/two:2')
    assert.equal(
      await ok('load', '-i', theirs),
      'Loaded image: docker.io/team/copied:2\nLoaded image: docker.io/team/two:2',
    )
    assert.equal(await ok('inspect', '-f', '{{.ConfigDigest}}', 'team/two:2'), config)
    await ok('rmi', 'team/copied:2', 'team/two:2')
  })

  it('go to containerd and come back as the same image', async (t) => {
    const daemon = await startContainerd(join(dir, 'c'))
    t.after(() => daemon.stop())
    const ctr = (...args: readonly string[]) =>
      runClient(dir, 'ctr', '--address', daemon.socket, 'images', ...args)
    const digest = await ok('inspect', '-f', '{{.ManifestDigest}}', 'busybox:1')
    for (const format of ['docker-archive', 'oci-archive'] as const) {
      const [mine, theirs] = [join(dir, `ctr-${format}`), join(dir, `from-ctr-${format}`)]
      await ok('save', '--format', format, '-o', mine, 'busybox:1')
      await ctr('import', '--no-unpack', mine)
      assert.match(await ctr('ls'), new RegExp(`${NAME} .* ${digest}`))
      await ctr('export', theirs, NAME)
      await ctr('rm', '--sync', NAME)
      await ok('rmi', 'busybox:1')
      assert.equal(await ok('load', '-i', theirs), `Loaded image: ${NAME}`)
      assert.equal(await ok('inspect', '-f', '{{.ManifestDigest}}', 'busybox:1'), digest)
    }
    assert.equal(await ok('run', '--rm', '--network', 'none', 'busybox:1', 'echo', 'hi'), 'hi')
  })

  for (const format of ['docker-archive', 'oci-archive'] as const) {
    it(`are copied to and from, as skopeo and podman do (${format})`, async () => {
      const [mine, theirs] = [join(dir, `copy-${format}`), join(dir, `theirs-copy-${format}`)]
      const config = await configDigest()
      await ok('copy', '-q', 'store:busybox:1', `${format}:${mine}:${NAME}`)
      await skopeo('copy', '-q', `${format}:${mine}:${NAME}`, `${format}:${theirs}:team/it:2`)
      await ok('copy', '-q', `${format}:${theirs}:team/it:2`, `oci:${dir}/layout-${format}:2`)
      const raw = await skopeo('inspect', '--raw', `oci:${dir}/layout-${format}:2`)
      assert.equal(JSON.parse(raw).config.digest, `sha256:${config}`)
      assert.match(await podman('load', '-q', '-i', mine), /docker\.io\/library\/busybox:1/)
      await podman('rmi', NAME)
    })
  }

  it('can be read both ways when they are docker-archives', async () => {
    const file = join(dir, 'both')
    await ok('save', '-o', file, 'busybox:1')
    const digests = await Promise.all(
      ['docker-archive', 'oci-archive'].map(async (format) => {
        const config = await skopeo('inspect', '--config', '--raw', `${format}:${file}:${NAME}`)
        return config
      }),
    )
    assert.equal(digests[0], digests[1])
  })

  it('as directories are OCI image layouts', async () => {
    const layout = join(dir, 'layout')
    await ok('save', '--format', 'oci-dir', '-o', layout, 'busybox:1')
    const theirs = join(dir, 'copied')
    await skopeo('copy', '-q', `oci:${layout}:${NAME}`, `oci:${theirs}:team/layout:3`)
    assert.equal(await ok('load', '-i', theirs), 'Loaded image: docker.io/team/layout:3')
    await ok('rmi', 'team/layout:3')
  })
})
