import { appendFile, mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import type { Digest } from '#oci/digest.ts'
import { DrayError, errorMessage, isDrayError, isErrno } from '#oci/error.ts'
import { parseJson } from '#oci/json.ts'
import { check } from '#oci/schema.ts'
import type { UnpackTarget } from '../layers/unpack.ts'
import { enableVerity, verityDigest } from '../verity.ts'
import { exists, publish, readIfExists } from './files.ts'
import { layerParts, type StoreLayout } from './layout.ts'
import type { Stage, Store } from './store.ts'
import { isUnreadable } from './unreadable.ts'

/** How layers are kept: as their files, or as their tar with an EROFS image of metadata. */
export const LAYER_FORMS = ['dir', 'erofs'] as const
export type LayerFormName = (typeof LAYER_FORMS)[number]

/** The fs-verity digests of a layer's files, in hexadecimal. */
export interface LayerVerity {
  readonly tar: string
  readonly image: string
}

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
  /** Of a layer of form erofs that has fs-verity. The record has it too then, whatever its digest. */
  readonly verity?: LayerVerity | undefined
}

const RECORD_LIMIT = 256 * 1024 * 1024

const recordSchema = z.object({
  form: z.enum(LAYER_FORMS).default('dir'),
  entries: z.int().min(0),
  tarBytes: z.int().min(0),
  implied: z.array(z.string()),
  whiteoutParents: z.array(z.string()),
  opaqueRoot: z.boolean(),
  verity: z.object({ tar: z.string(), image: z.string() }).optional(),
})

/** Whether the layer of this diffID is unpacked. */
export async function hasLayer(layout: StoreLayout, diffId: Digest): Promise<boolean> {
  return await exists(layout.layer(diffId).record)
}

/**
 * Whether a blob was found to unpack to a layer that is there: what some manifest says of the two proves nothing.
 */
export function isBlobOf(layout: StoreLayout, diffId: Digest, blob: Digest): boolean {
  const known = readIfExists(layout.layer(diffId).blobs)?.toString('latin1') ?? ''
  return known.split('\n').includes(blob)
}

/** Remembers that a blob unpacks to a layer. Where the power takes that away, it is found out again. */
export async function addBlobOf(layout: StoreLayout, diffId: Digest, blob: Digest): Promise<void> {
  await appendFile(layout.layer(diffId).blobs, `${blob}\n`)
}

/** @throws STORE_FAILED when the record is damaged; undefined when the layer isn't unpacked */
export function readLayer(layout: StoreLayout, diffId: Digest): LayerRecord | undefined {
  const path = layout.layer(diffId).record
  try {
    const bytes = readIfExists(path)
    if (bytes === undefined) return undefined
    const value = parseJson(bytes, { code: 'STORE_FAILED', maxBytes: RECORD_LIMIT })
    return check(recordSchema, value, 'record', 'STORE_FAILED')
  } catch (cause) {
    if (!isDrayError(cause) && !isUnreadable(cause)) throw cause
    throw new DrayError(
      'STORE_FAILED',
      `${path} is damaged (${errorMessage(cause)}): dray system check --repair makes the layer anew`,
      { cause },
    )
  }
}

/**
 * The fs-verity that a layer was given; undefined when it has none. A record that has it can't be damaged, so one that is says
 * nothing of it, and neither do files that have none.
 *
 * @throws STORE_FAILED when the record is damaged of a layer whose files have fs-verity
 */
export function readVerity(layout: StoreLayout, diffId: Digest): LayerVerity | undefined {
  try {
    return readLayer(layout, diffId)?.verity
  } catch (error) {
    const { tar, image } = layout.layer(diffId)
    if (!isDrayError(error) || [tar, image].some(digestIfThere)) throw error
    return undefined
  }
}

/** Makes the place in a stage where a layer is unpacked. */
export async function stageLayer(stageDir: string, form: LayerFormName): Promise<UnpackTarget> {
  const { tree, tar, image } = layerParts(stageDir)
  await mkdir(form === 'dir' ? tree : stageDir, { recursive: true, mode: 0o755 })
  return form === 'dir' ? { form, dir: tree } : { form, tar, image }
}

/** Completes a staged layer, which came from a blob; it can be published then. */
export async function finishStagedLayer(
  stageDir: string,
  layer: LayerRecord,
  blob: Digest,
): Promise<void> {
  const { form, entries, tarBytes, implied, whiteoutParents, opaqueRoot, verity } = layer
  const tree = { form, entries, tarBytes, implied, whiteoutParents, opaqueRoot }
  const { record, blobs } = layerParts(stageDir)
  await writeFile(blobs, `${blob}\n`)
  await writeFile(record, JSON.stringify({ ...tree, verity } satisfies LayerRecord))
  if (verity !== undefined) enableVerity(record)
}

/**
 * Makes a finished layer visible. Losing to another process that did the same is success; what has lost its record is no layer,
 * and makes room.
 */
export async function publishLayer(store: Store, diffId: Digest, stage: Stage): Promise<void> {
  const { dir } = store.layout.layer(diffId)
  const isFirst = await publish(stage.dir, dir)
  if (!isFirst && !(await hasLayer(store.layout, diffId))) await replaceWith(store, dir, stage)
}

/**
 * Puts a finished layer, or the fix-up of a stack, in the place of another one. Between the two renames there is none, which the next
 * run would mend.
 */
export async function replaceWith(store: Store, dir: string, fresh: Stage): Promise<void> {
  const old = await store.stage()
  try {
    await mkdir(old.dir, { mode: 0o700 })
    await rename(dir, join(old.dir, 'old'))
    await publish(fresh.dir, dir)
  } finally {
    await old.close()
  }
}

/**
 * What is wrong with the fs-verity of a layer that was given it; undefined when its files are those that it was given to. They
 * aren't read for that: the kernel compares them with their digests when somebody does.
 */
export function wrongVerity(layerDir: string, verity: LayerVerity): string | undefined {
  const { tar, image, record } = layerParts(layerDir)
  const files = [
    [tar, verity.tar],
    [image, verity.image],
    [record, undefined],
  ] as const
  for (const [path, recorded] of files) {
    const digest = digestIfThere(path)
    if (digest === undefined) return `${path} has lost its fs-verity`
    if (recorded !== undefined && digest !== recorded)
      return `the fs-verity digest of ${path} is ${digest}, not ${recorded} as recorded`
  }
  return undefined
}

function digestIfThere(path: string): string | undefined {
  try {
    return verityDigest(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ELOOP')) return undefined
    throw error
  }
}
