import { closeSync, constants, openSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { DrayError } from '#oci/error.ts'
import { tryLock } from './sys.ts'

const ATTEMPTS = 5000
const PAUSE_MS = 1

/** Does short synchronous work while nobody else does, in any process. The lock ends with the process at the latest. */
export function exclusively<T>(path: string, work: () => T): T {
  const fd = open(path)
  try {
    for (let attempt = 0; !tryLock(fd); attempt++) {
      if (attempt === ATTEMPTS) throw busy(path)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
    }
    return work()
  } finally {
    closeSync(fd)
  }
}

const LONG_PAUSE_MS = 5

/** {@link exclusively}, for work that waits for other programs. */
export async function exclusivelyAsync<T>(path: string, work: () => Promise<T>): Promise<T> {
  const fd = open(path)
  try {
    for (let attempt = 0; !tryLock(fd); attempt++) {
      if (attempt === ATTEMPTS) throw busy(path)
      await delay(LONG_PAUSE_MS)
    }
    return await work()
  } finally {
    closeSync(fd)
  }
}

function open(path: string): number {
  return openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
}

function busy(path: string): DrayError {
  return new DrayError('STORE_FAILED', `${path} stays locked: try again`)
}
