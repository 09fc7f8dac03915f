import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { finishDigest } from '#oci/digest.ts'
import { type LayerImage, type MountSource, mountLayerImage } from '#puller/layers/erofs/mount.ts'
import { createErofsExtractor, type ExtractResult } from '#puller/layers/extract.ts'
import { unmountIdle } from '#puller/mounting.ts'
import { createTarReader } from '#puller/tar/reader.ts'

/** Indexes a tar: writes the image beside it. */
export function indexTar(
  dir: string,
  tar: Buffer,
): { readonly layer: LayerImage; readonly result: ExtractResult } {
  mkdirSync(dir)
  const target = join(dir, 'mounted')
  const layer = { image: join(dir, 'image'), tar: join(dir, 'tar'), target }
  const extractor = createErofsExtractor(layer)
  try {
    const reader = createTarReader(extractor)
    extractor.keep(tar)
    reader.push(tar)
    reader.end()
    const diffId = finishDigest('sha256', createHash('sha256').update(tar))
    return { layer, result: extractor.finish({ diffId, tarBytes: tar.length }) }
  } catch (error) {
    extractor.abort()
    throw error
  }
}

/** Mounts an image for as long as `work` takes. Needs root. */
export function withMounted<T>(
  layer: LayerImage,
  work: (dir: string) => T,
  source?: MountSource,
): T {
  mkdirSync(layer.target, { recursive: true })
  mountLayerImage(layer, source)
  try {
    return work(layer.target)
  } finally {
    assert.ok(unmountIdle(layer.target))
  }
}

/** Has fsck.erofs read all of an image. */
export function checkImage({ image, tar }: LayerImage): void {
  execFileSync('fsck.erofs', ['--extract', `--device=${tar}`, image], { stdio: 'pipe' })
}

/** False where it can. */
export function whyNoFsck(): string | false {
  try {
    const version = execFileSync('fsck.erofs', ['--version'], { encoding: 'utf8', stdio: 'pipe' })
    return Number(/1\.(\d+)/.exec(version)?.[1]) >= 7 ? false : 'erofs-utils is older than 1.7'
  } catch {
    return 'erofs-utils is not installed'
  }
}
