import { mkdir, writeFile } from 'node:fs/promises'
import * as z from 'zod'
import type { Digest } from '#oci/digest.ts'
import { parseJson } from '#oci/json.ts'
import { check } from '#oci/schema.ts'
import type { UnpackTarget } from '../layers/unpack.ts'
import { exists, publish, readIfExists } from './files.ts'
import { layerParts, type StoreLayout } from './layout.ts'

/** How layers are kept: as their files, or as their tar with an EROFS image of metadata. */
export const LAYER_FORMS = ['dir', 'erofs'] as const
export type LayerFormName = (typeof LAYER_FORMS)[number]

/** What is kept of an unpacked layer beside its tree. */
export interface LayerRecord {
  readonly form: LayerFormName
  readonly entries: number
  /** Bytes of the tar. */
  readonly tarBytes: number
  /** Directories that the layer implies without listing them, one character a byte; '' is the root. */
  readonly implied: readonly string[]
  /** Directories that hold whiteouts, likewise. */
  readonly whiteoutParents: readonly string[]
  /** Whether the layer hides everything below it. */
  readonly opaqueRoot: boolean
}

const RECORD_LIMIT = 256 * 1024 * 1024

const recordSchema = z.object({
  form: z.enum(LAYER_FORMS).default('dir'),
  entries: z.int().min(0),
  tarBytes: z.int().min(0),
  implied: z.array(z.string()),
  whiteoutParents: z.array(z.string()),
  opaqueRoot: z.boolean(),
})

/** Whether the layer of this diffID is unpacked. */
export async function hasLayer(layout: StoreLayout, diffId: Digest): Promise<boolean> {
  return await exists(layout.layer(diffId).record)
}

/** @throws STORE_FAILED when the record is damaged; undefined when the layer isn't unpacked */
export async function readLayer(
  layout: StoreLayout,
  diffId: Digest,
): Promise<LayerRecord | undefined> {
  const bytes = await readIfExists(layout.layer(diffId).record)
  if (bytes === undefined) return undefined
  const value = parseJson(bytes, { code: 'STORE_FAILED', maxBytes: RECORD_LIMIT })
  return check(recordSchema, value, `layer record of ${diffId}`, 'STORE_FAILED')
}

/** Makes the place in a stage where a layer is unpacked. */
export async function stageLayer(stageDir: string, form: LayerFormName): Promise<UnpackTarget> {
  const { tree, tar, image } = layerParts(stageDir)
  await mkdir(form === 'dir' ? tree : stageDir, { recursive: true, mode: 0o755 })
  return form === 'dir' ? { form, dir: tree } : { form, tar, image }
}

/** Completes a staged layer; it can be published then. */
export async function finishStagedLayer(stageDir: string, layer: LayerRecord): Promise<void> {
  const { form, entries, tarBytes, implied, whiteoutParents, opaqueRoot } = layer
  const record: LayerRecord = { form, entries, tarBytes, implied, whiteoutParents, opaqueRoot }
  await writeFile(layerParts(stageDir).record, JSON.stringify(record))
}

/** Makes a finished layer visible. Losing to another process that did the same is success. */
export async function publishLayer(
  layout: StoreLayout,
  diffId: Digest,
  stageDir: string,
): Promise<void> {
  await publish(stageDir, layout.layer(diffId).dir)
}
