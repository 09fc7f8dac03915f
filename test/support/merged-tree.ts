import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { parseReference } from '#oci/reference.ts'
import { holdLayers, openStore, prepareRootfs } from '#puller/index.ts'
import { mountOverlay, unmountIdle } from '#puller/mounting.ts'
import { afterTest } from './after.ts'

/** Mounts what a container of an image would see, read-only, until it is ended. Needs root. */
export async function mountMerged(
  root: string,
  image: string,
): Promise<{ readonly merged: string; end(): Promise<void> }> {
  const store = await openStore(root)
  const { lowerDirs } = await prepareRootfs(store, parseReference(image))
  const dir = mkdtempSync(join(tmpdir(), 'dray-merged-'))
  const [merged, empty] = [join(dir, 'merged'), join(dir, 'empty')]
  mkdirSync(merged)
  mkdirSync(empty)
  const layers = await holdLayers(store.layout, lowerDirs)
  // Overlay wants two lower directories at least where there is no upper one.
  mountOverlay([...lowerDirs].reverse().concat(empty), merged)
  const end = async () => {
    unmountIdle(merged)
    await layers.release()
    rmSync(dir, { recursive: true })
  }
  return { merged, end }
}

/** {@link mountMerged}, for the length of one test. */
export async function mergedTree(t: TestContext, root: string, image: string): Promise<string> {
  const { merged, end } = await mountMerged(root, image)
  afterTest(t, end)
  return merged
}
