import { isDrayError } from '#oci/error.ts'
import { parseJson } from '#oci/json.ts'
import { RECORD_KEYS } from '../../services/record-keys.ts'
import type { RecordDriver } from '../../storage/record-driver.ts'
import {
  createPrivateJwk,
  type KeyRing,
  parsePrivateJwk,
  type TokenAlgorithm,
  type TokenKey,
} from './keys.ts'

export interface StoredKeysOptions {
  readonly algorithm: TokenAlgorithm
  /** How long a key signs. */
  readonly rotateMs: number
  /** How long tokens can be used that it has signed. */
  readonly keepMs: number
  readonly now?: () => number
}

const KEY_LIMIT = 10_000
const MOST_KEYS = 1000
/** Keys of other replicas are looked for so often, and when a token names one that isn't known. */
const REFRESH_MS = 5 * 60_000
const LOOK_AGAIN_MS = 5000

interface StoredKey {
  readonly period: number
  readonly key: TokenKey
}

/**
 * Keys that the registry makes for itself and keeps in its records, so that all replicas have them. Time is cut into
 * periods, each with a key that whoever needs it first creates; the key of the next period is there half a period early,
 * so that every replica knows it when it begins to sign.
 */
export function createStoredKeys(records: RecordDriver, options: StoredKeysOptions): KeyRing {
  const { algorithm, rotateMs, keepMs, now = Date.now } = options
  let keys: readonly StoredKey[] = []
  let loadedAt = Number.NEGATIVE_INFINITY
  let loading: Promise<void> | undefined

  async function load(): Promise<void> {
    const time = now()
    const period = Math.floor(time / rotateMs)
    await create(period)
    if (time % rotateMs > rotateMs / 2) await create(period + 1)
    const found: StoredKey[] = []
    for (const entry of await records.list(RECORD_KEYS.tokenKeys, { limit: MOST_KEYS })) {
      const ended = (Number(entry.slice(RECORD_KEYS.tokenKeys.length)) + 1) * rotateMs
      if (ended + keepMs < time) {
        await records.delete(entry)
        continue
      }
      const known = keys.find((each) => RECORD_KEYS.tokenKey(each.period) === entry)
      const key = known ?? (await read(entry))
      if (key !== undefined) found.push(key)
    }
    keys = found
    loadedAt = time
  }

  /** Of several who create the key of a period the first one wins. */
  async function create(period: number): Promise<void> {
    if (keys.some((key) => key.period === period)) return
    const key = RECORD_KEYS.tokenKey(period)
    if ((await records.get(key)) !== undefined) return
    const bytes = Buffer.from(JSON.stringify(await createPrivateJwk(algorithm)))
    try {
      await records.put(key, bytes, { ifAbsent: true })
    } catch (error) {
      if (!isDrayError(error, 'RECORD_CONFLICT')) throw error
    }
  }

  async function read(entry: string): Promise<StoredKey | undefined> {
    const record = await records.get(entry)
    if (record === undefined) return undefined
    const jwk = parseJson(record.bytes, { code: 'INTERNAL', maxBytes: KEY_LIMIT })
    const period = Number(entry.slice(RECORD_KEYS.tokenKeys.length))
    return { period, key: await parsePrivateJwk(jwk as object) }
  }

  async function refresh(maxAgeMs: number): Promise<void> {
    if (now() - loadedAt <= maxAgeMs) return
    loading ??= load().finally(() => {
      loading = undefined
    })
    await loading
  }

  return {
    async current() {
      await refresh(REFRESH_MS)
      const period = Math.floor(now() / rotateMs)
      const find = () => keys.find((key) => key.period === period)
      if (find() === undefined) await load()
      return find()?.key ?? (keys.at(-1) as StoredKey).key
    },
    async find(kid) {
      const known = () => keys.find(({ key }) => key.kid === kid)?.key
      if (known() === undefined) await refresh(LOOK_AGAIN_MS)
      return known()
    },
    async all() {
      await refresh(REFRESH_MS)
      return keys.map(({ key }) => key)
    },
  }
}
