import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { AMD64, artifactOn, BOTH, seed, setOf, writeLayoutOf } from '../puller/copy/images.ts'
import { afterTest } from '../support/after.ts'
import { runClient } from '../support/clients.ts'
import { dray, startRegistryProcess } from '../support/dray.ts'
import { tempDir } from '../support/temp-dir.ts'

describe('dray copy', () => {
  it('makes copies that skopeo and crane read under the same digest, with their artifacts', async (t) => {
    const dir = tempDir(t)
    const registry = await startRegistryProcess(['--data', `${dir}/registry`])
    afterTest(t, () => registry.stop())
    const copy = async (...args: readonly string[]) => {
      const { code, stdout, stderr } = await dray(['copy', '--quiet', ...args])
      assert.equal(code, 0, stderr)
      assert.equal(stdout, `${BOTH.top.digest}\n`)
    }
    writeLayoutOf(`${dir}/from`, BOTH)
    await copy(`oci:${dir}/from`, `${registry.host}/one:1`)
    const sbom = artifactOn(AMD64.manifest, 'application/vnd.example.sbom')
    await seed(registry.host, 'one', sbom)
    await copy('--with-referrers', `${registry.host}/one:1`, `${registry.host}/two:1`)
    await copy('--with-referrers', `${registry.host}/two:1`, `oci:${dir}/to:1`)

    const two = `${registry.host}/two`
    assert.equal(await runClient(dir, 'crane', 'digest', `${two}:1`), BOTH.top.digest)
    await runClient(dir, 'crane', 'manifest', `${two}@${sbom.top.digest}`)
    const places = ['--tls-verify=false', `docker://${two}:1`]
    for (const place of [places, [`oci:${dir}/to:1`]]) {
      const raw = await runClient(dir, 'skopeo', 'inspect', '--raw', ...place)
      assert.equal(digestOf(raw), BOTH.top.digest)
    }
    const all = ['copy', '--all', '--src-tls-verify=false', `docker://${two}:1`]
    await runClient(dir, 'skopeo', ...all, `oci:${dir}/skopeo:1`)
    await runClient(dir, 'skopeo', 'copy', '--all', `oci:${dir}/to:1`, `oci:${dir}/again:1`)
  })
})

describe('dray push --compression zstd', () => {
  it('pushes what skopeo and podman unpack, under the same digest each time', async (t) => {
    const dir = tempDir(t)
    const registry = await startRegistryProcess(['--data', `${dir}/registry`])
    afterTest(t, () => registry.stop())
    writeLayoutOf(`${dir}/from`, setOf(AMD64))
    const push = async (tag: string, ...args: readonly string[]) => {
      const name = `${registry.host}/app:${tag}`
      const root = ['--root', `${dir}/store-${tag}`]
      const outcome = await dray(['push', '-q', ...root, ...args, `oci:${dir}/from`, name])
      assert.equal(outcome.code, 0, outcome.stderr)
      return outcome.stdout.trim()
    }
    const digest = await push('1', '--compression', 'zstd', '--compression-level', '9')
    const again = await push('2', '--compression-format', 'zstd', '--compression-level', '9')
    assert.equal(digest, again)
    const from = ['--src-tls-verify=false', `docker://${registry.host}/app:1`]
    await runClient(dir, 'skopeo', 'copy', '-q', ...from, `oci:${dir}/zstd:1`)
    const raw = await runClient(dir, 'skopeo', 'inspect', '--raw', `oci:${dir}/zstd:1`)
    const { config, layers } = JSON.parse(raw)
    assert.equal(digestOf(raw), digest)
    assert.equal(config.digest, AMD64.config.digest)
    for (const { mediaType } of layers) assert.equal(mediaType, MEDIA_TYPE.ociLayerZstd)
    // It checks what it unpacks against the diffIDs.
    const podman = [`--root=${dir}/podman`, `--runroot=${dir}/podman-run`, '--storage-driver=vfs']
    await runClient(
      dir,
      'podman',
      ...podman,
      'pull',
      '-q',
      '--tls-verify=false',
      `${registry.host}/app:1`,
    )
  })
})
