import { closeSync, constants, openSync } from 'node:fs'
import { DrayError } from '#oci/error.ts'
import { tryLock } from './sys.ts'

const ATTEMPTS = 5000
const PAUSE_MS = 1

/** Does short synchronous work while nobody else does, in any process. The lock ends with the process at the latest. */
export function exclusively<T>(path: string, work: () => T): T {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  try {
    for (let attempt = 0; !tryLock(fd); attempt++) {
      if (attempt === ATTEMPTS)
        throw new DrayError('STORE_FAILED', `${path} stays locked: try again`)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
    }
    return work()
  } finally {
    closeSync(fd)
  }
}
