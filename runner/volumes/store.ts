import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { DrayError, isErrno } from '#oci/error.ts'
import { parseJson } from '#oci/json.ts'
import { check } from '#oci/schema.ts'
import { syncPath } from '#oci/sync-path.ts'
import { listContainers } from '../containers/find.ts'

/**
 * Volumes of a store:
 *
 *     <root>/volumes/<name>/volume.json   who it is
 *     <root>/volumes/<name>/_data/        what is mounted
 */
export interface VolumeRecord {
  readonly name: string
  readonly createdAt: string
  readonly labels: Readonly<Record<string, string>>
  /** Whether its name was made up for one container. */
  readonly isAnonymous: boolean
}

/** A volume and where it is. */
export interface StoredVolume extends VolumeRecord {
  readonly mountpoint: string
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/
const RECORD_LIMIT = 64 * 1024

const schema = z.object({
  name: z.string(),
  createdAt: z.string(),
  labels: z.record(z.string(), z.string()),
  isAnonymous: z.boolean(),
})

/** Whether a text can be the name of a volume, and not a path. */
export function isVolumeName(text: string): boolean {
  return NAME.test(text)
}

/**
 * Makes a volume, or gives the one that has the name.
 *
 * @param name default: one that is made up
 * @throws USAGE
 */
export async function makeVolume(
  root: string,
  name: string = randomBytes(32).toString('hex'),
  options: {
    readonly labels?: Readonly<Record<string, string>>
    readonly isAnonymous?: boolean | undefined
  } = {},
): Promise<StoredVolume> {
  if (!isVolumeName(name)) {
    const rule = 'letters, digits, _ . and -, a letter or digit first'
    throw new DrayError('USAGE', `invalid volume name ${JSON.stringify(name)}: ${rule}`)
  }
  const existing = await readVolume(root, name)
  if (existing !== undefined) return existing
  const record: VolumeRecord = {
    name,
    createdAt: new Date().toISOString(),
    labels: options.labels ?? {},
    isAnonymous: options.isAnonymous ?? false,
  }
  const making = join(volumesDir(root), `.${name}-${crypto.randomUUID()}`)
  try {
    await mkdir(join(making, '_data'), { recursive: true, mode: 0o711 })
    await writeFile(join(making, 'volume.json'), JSON.stringify(record), { flush: true })
    await rename(making, join(volumesDir(root), name))
    await syncPath(volumesDir(root))
  } catch (error) {
    await rm(making, { recursive: true, force: true })
    if (!isErrno(error, 'ENOTEMPTY', 'EEXIST')) throw error
  }
  return { ...record, mountpoint: dataDir(root, name) }
}

/** @throws VOLUME_UNKNOWN */
export async function findVolume(root: string, name: string): Promise<StoredVolume> {
  const found = isVolumeName(name) ? await readVolume(root, name) : undefined
  if (found !== undefined) return found
  throw new DrayError(
    'VOLUME_UNKNOWN',
    `no volume is called ${JSON.stringify(name)}: dray volume ls lists them`,
  )
}

/** All volumes of a store, by name. */
export async function listVolumes(root: string): Promise<StoredVolume[]> {
  const names = await readdir(volumesDir(root)).catch(() => [])
  const found = await Promise.all(
    names
      .filter(isVolumeName)
      .sort()
      .map((name) => readVolume(root, name)),
  )
  return found.filter((volume) => volume !== undefined)
}

/** Removes a volume and what is in it. @throws VOLUME_UNKNOWN; VOLUME_IN_USE when a container has it */
export async function removeVolume(root: string, name: string): Promise<void> {
  await findVolume(root, name)
  await refuseUsed(root, name)
  // Out of sight first, so that nobody takes half of it for a whole one.
  const dir = join(volumesDir(root), name)
  const gone = join(volumesDir(root), `.${name}-${crypto.randomUUID()}`)
  await rename(dir, gone)
  try {
    // Whoever makes a container with it has written that down by now, or sees afterwards that it is gone.
    await refuseUsed(root, name)
  } catch (error) {
    if (await putBack(gone, dir)) throw error
  }
  await rm(gone, { recursive: true, force: true })
}

async function refuseUsed(root: string, name: string): Promise<void> {
  const users = (await volumesInUse(root)).get(name)
  if (users === undefined) return
  const message = `volume ${name} belongs to container ${users.join(', ')}: remove that first`
  throw new DrayError('VOLUME_IN_USE', message)
}

/** False when there is a new one of that name. */
async function putBack(gone: string, dir: string): Promise<boolean> {
  try {
    await rename(gone, dir)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) return false
    throw error
  }
}

/** The volumes that containers have, with the names of these. */
export async function volumesInUse(root: string): Promise<Map<string, string[]>> {
  const users = new Map<string, string[]>()
  for (const { record } of await listContainers(root)) {
    for (const { name } of record.options.volumes ?? []) {
      if (name !== undefined) users.set(name, [...(users.get(name) ?? []), record.name])
    }
  }
  return users
}

async function readVolume(root: string, name: string): Promise<StoredVolume | undefined> {
  try {
    const bytes = await readFile(join(volumesDir(root), name, 'volume.json'))
    const value = parseJson(bytes, { code: 'STORE_FAILED', maxBytes: RECORD_LIMIT })
    const record = check(schema, value, 'volume record', 'STORE_FAILED')
    return { ...record, mountpoint: dataDir(root, name) }
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

function volumesDir(root: string): string {
  return join(root, 'volumes')
}

function dataDir(root: string, name: string): string {
  return join(volumesDir(root), name, '_data')
}
