import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import { hostPlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import { checkStore, openStore, pullImage } from '#puller/index.ts'
import { seed, setOf } from '../puller/copy/images.ts'
import { startDray } from '../support/dray.ts'
import { drayHere } from '../support/dray-here.ts'
import { startOpenRegistry } from '../support/open-registry.ts'
import { smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'

const { architecture } = hostPlatform()
const SHARED = tarOf({ shared: randomBytes(100_000) })
const image = (name: string) =>
  smallImage([SHARED, tarOf({ [name]: randomBytes(100_000) })], { config: { architecture } })
const [OLD, NEW] = [image('old'), image('new')]

/** Runs a pull, and something else as soon as it tells what fits. */
async function pullAnd(args: readonly string[], fits: RegExp, work: () => Promise<void>) {
  const child = startDray(['pull', '--progress', 'json', ...args])
  child.stdout.resume()
  const exited = once(child, 'exit')
  const lines: string[] = []
  let working: Promise<void> | undefined
  for await (const line of createInterface(child.stderr)) {
    lines.push(line)
    if (fits.test(line)) working ??= work()
  }
  const [code] = await exited
  assert.equal(code, 0, lines.join('\n'))
  assert.ok(working !== undefined, `the pull never told ${fits}`)
  await working
}

describe('dray rmi beside a dray pull of an image with the same layer', () => {
  const MOMENTS: Readonly<Record<string, RegExp>> = {
    'has just found out what to pull': /"type":"resolved"/,
    'has found the layer': /"state":"exists"/,
    'has got another layer': /"state":"done"/,
    'is about to name the image': /"type":"saving"/,
  }
  for (const [moment, fits] of Object.entries(MOMENTS)) {
    it(`takes nothing from it when it ${moment}`, async (t) => {
      const { host } = await startOpenRegistry(t)
      for (const [tag, set] of Object.entries({ old: OLD, new: NEW }))
        await seed(host, 'app', setOf(set), tag)
      const root = join(tempDir(t), 'store')
      const store = await openStore(root, { layerStore: 'dir' })
      await pullImage(store, parseReference(`${host}/app:old`))
      const options = ['--root', root]
      await pullAnd([...options, '--layer-store', 'dir', `${host}/app:new`], fits, async () => {
        const { code, stderr } = await drayHere(['rmi', ...options, `${host}/app:old`])
        assert.equal(code, 0, stderr)
      })
      assert.deepEqual(
        (await store.images()).map(({ name }) => name),
        [`${host}/app:new`],
      )
      assert.deepEqual(await checkStore(store), [])
      const kept = (pattern: string) => globSync(pattern, { cwd: root }).length
      assert.deepEqual([kept('content/blobs/*/*'), kept('layers/*/*'), kept('ingest/*')], [4, 2, 0])
      assert.equal((await drayHere(['rmi', ...options, `${host}/app:new`])).code, 0)
      assert.deepEqual([kept('content/blobs/*/*'), kept('layers/*/*'), kept('leases/*')], [0, 0, 0])
    })
  }
})
