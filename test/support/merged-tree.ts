import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { parseReference } from '#oci/reference.ts'
import { openStore, prepareRootfs } from '#puller/index.ts'

/** Mounts what a container of an image would see, read-only, for the length of one test. Needs root. */
export async function mergedTree(t: TestContext, root: string, image: string): Promise<string> {
  const { lowerDirs } = await prepareRootfs(await openStore(root), parseReference(image))
  const dir = mkdtempSync(join(tmpdir(), 'dray-merged-'))
  const [merged, empty] = [join(dir, 'merged'), join(dir, 'empty')]
  mkdirSync(merged)
  mkdirSync(empty)
  // Overlay wants two lower directories at least where there is no upper one.
  const stack = [...lowerDirs].reverse().concat(empty).join(':')
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', `ro,lowerdir=${stack}`, merged])
  t.after(() => {
    execFileSync('umount', [merged])
    rmSync(dir, { recursive: true })
  })
  return merged
}
