/** A small document, and a version that stands for the put which made it, and for no other of the same bytes. */
export interface StoredRecord {
  readonly bytes: Uint8Array
  readonly version: string
}

/** What must hold for a change to be made; nothing, if empty. */
export interface PutCondition {
  /** The key must have no record. */
  readonly ifAbsent?: true
  /** The record must be of this version. */
  readonly ifVersion?: string
}

export interface ListOptions {
  /** List only keys that come after this one. */
  readonly after?: string | undefined
  /** At most so many; fewer mean that there are no more. */
  readonly limit: number
}

/**
 * Ordered keys to small documents (at most 5 MiB, at least one byte). Keys are ASCII without control characters, at
 * most 900 long.
 *
 * A change is durable and seen by every reader of the store, lists included, when its call returns. One key is
 * changed atomically; nothing holds over two keys, so every fact is one key. Of several conditional writers that
 * can't all be right, exactly one succeeds.
 */
export interface RecordDriver {
  get(key: string): Promise<StoredRecord | undefined>
  /** @throws RECORD_CONFLICT when the condition doesn't hold; the store is unchanged then */
  put(key: string, bytes: Uint8Array, condition?: PutCondition): Promise<void>
  /**
   * Removes a record; without a condition, success when there is none.
   *
   * @throws RECORD_CONFLICT when it is not of the version `ifVersion`
   */
  delete(key: string, condition?: Pick<PutCondition, 'ifVersion'>): Promise<void>
  /** The keys that start with `prefix`, in the order of their bytes. */
  list(prefix: string, options: ListOptions): Promise<readonly string[]>
  close(): Promise<void>
}
