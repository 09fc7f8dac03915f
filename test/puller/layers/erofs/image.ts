import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { finishDigest } from '#oci/digest.ts'
import { createErofsForm } from '#puller/layers/erofs/form.ts'
import { type LayerImage, type MountSource, mountLayerImage } from '#puller/layers/erofs/mount.ts'
import { createLayerExtractor, type ExtractResult } from '#puller/layers/extract.ts'
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
  writeFileSync(layer.tar, tar)
  const fd = openSync(layer.image, 'wx+')
  try {
    const form = createErofsForm(fd)
    const extractor = createLayerExtractor(form)
    const reader = createTarReader(extractor)
    reader.push(tar)
    reader.end()
    const result = extractor.finish()
    const diffId = finishDigest('sha256', createHash('sha256').update(tar))
    form.writeImage({ diffId, tarBytes: tar.length })
    return { layer, result }
  } finally {
    closeSync(fd)
  }
}

/** Mounts an image for as long as `work` takes. Needs root. */
export function withMounted<T>(
  layer: LayerImage,
  work: (dir: string) => T,
  source: MountSource = 'file',
): T {
  mkdirSync(layer.target, { recursive: true })
  mountLayerImage(layer, source)
  try {
    return work(layer.target)
  } finally {
    assert.ok(unmountIdle(layer.target))
  }
}
