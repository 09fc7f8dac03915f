import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as z from 'zod'
import { type Descriptor, digestSchema } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'
import { isDrayError } from '#oci/error.ts'
import { parseJson } from '#oci/json.ts'
import { check } from '#oci/schema.ts'
import { type LayerCompression, layerMediaType } from '../image/compression.ts'
import { readIfExists, replaceFile } from './files.ts'
import type { StoreLayout } from './layout.ts'

const RECORD_LIMIT = 4096

const recordSchema = z.object({
  digest: digestSchema,
  size: z.int().min(0),
})

/**
 * The blob that the layer of this diffID became when it was last compressed so, whether there is such a blob or not; undefined when
 * nobody knows.
 */
export async function readCompressed(
  layout: StoreLayout,
  diffId: Digest,
  compression: LayerCompression,
): Promise<Descriptor | undefined> {
  const bytes = readIfExists(pathOf(layout, diffId, compression))
  if (bytes === undefined) return undefined
  try {
    const value = parseJson(bytes, { code: 'STORE_FAILED', maxBytes: RECORD_LIMIT })
    const { digest, size } = check(recordSchema, value, `record of ${diffId}`, 'STORE_FAILED')
    return { mediaType: layerMediaType(compression), digest, size }
  } catch (error) {
    // It only spares work.
    if (isDrayError(error)) return undefined
    throw error
  }
}

/** Tells whether a blob is where an image goes. */
export type IsHeld = (digest: Digest) => Promise<boolean>

/** {@link readCompressed}, if that blob is where it is needed. */
export async function findCompressed(
  layout: StoreLayout,
  diffId: Digest,
  compression: LayerCompression,
  isHeld: IsHeld | undefined,
): Promise<Descriptor | undefined> {
  const known = await readCompressed(layout, diffId, compression)
  return known !== undefined && (await isHeld?.(known.digest)) ? known : undefined
}

/** Remembers what a layer became. What no image has is forgotten with the rest of the garbage. */
export async function keepCompressed(
  layout: StoreLayout,
  diffId: Digest,
  compression: LayerCompression,
  { digest, size }: Descriptor,
): Promise<void> {
  const path = pathOf(layout, diffId, compression)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await replaceFile(path, JSON.stringify({ digest, size }))
}

function pathOf(layout: StoreLayout, diffId: Digest, { format, level }: LayerCompression): string {
  return layout.compressedLayer(diffId, `${format}-${level}`)
}
