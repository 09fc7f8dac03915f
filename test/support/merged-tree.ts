import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { parseReference } from '#oci/reference.ts'
import { holdLayers, openStore, prepareRootfs } from '#puller/index.ts'
import { mountOverlay, unmountIdle } from '#puller/mounting.ts'
import { afterTest } from './after.ts'

/** Mounts what a container of an image would see, read-only, for the length of one test. Needs root. */
export async function mergedTree(t: TestContext, root: string, image: string): Promise<string> {
  const store = await openStore(root)
  const { lowerDirs } = await prepareRootfs(store, parseReference(image))
  const dir = mkdtempSync(join(tmpdir(), 'dray-merged-'))
  const [merged, empty] = [join(dir, 'merged'), join(dir, 'empty')]
  mkdirSync(merged)
  mkdirSync(empty)
  const layers = await holdLayers(store.layout, lowerDirs)
  // Overlay wants two lower directories at least where there is no upper one.
  mountOverlay([...lowerDirs].reverse().concat(empty), merged)
  afterTest(t, async () => {
    unmountIdle(merged)
    await layers.release()
    rmSync(dir, { recursive: true })
  })
  return merged
}
