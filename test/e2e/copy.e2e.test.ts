import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { AMD64, artifactOn, BOTH, seed, writeLayoutOf } from '../puller/copy/images.ts'
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
