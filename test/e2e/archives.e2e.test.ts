import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { runClient } from '../support/clients.ts'
import { containerStore } from '../support/container-store.ts'

const store = containerStore()
const { ok } = store
const NAME = 'docker.io/library/busybox:1'

describe('archives of images', () => {
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
