import { existsSync } from 'node:fs'
import { DrayError } from '#oci/error.ts'
import { type Claim, claimSoon, type ContainerRecord, readRecord } from '../record.ts'
import { realContainersDir } from './find.ts'
import { settle } from './settle.ts'
import type { Container } from './state.ts'

/** What one change holds a container for at most, a slow image's start included. */
const BUSY_MS = 60_000

/**
 * Does something to a container while nobody else does. The record is read anew, and a run that is over was settled.
 *
 * @throws CONTAINER_UNKNOWN when the container is gone; CONTAINER_STATE when others hold it for a minute
 */
export async function changeContainer<T>(
  root: string,
  container: Container,
  work: (claim: Claim, record: ContainerRecord) => Promise<T>,
): Promise<T> {
  const { name, keeper } = container.record
  const withinMs = keeper === 'owner' ? 0 : BUSY_MS
  const claim = await claimSoon(realContainersDir(root) ?? '', container.id, withinMs)
  if (claim === undefined) throw goneOrBusy(container)
  try {
    const record = readRecord(claim.paths)
    const settled = record === undefined ? undefined : await settle(root, claim, record)
    if (settled === undefined) throw gone(name)
    return await work(claim, settled)
  } finally {
    claim.release()
  }
}

function goneOrBusy({ record, paths }: Container): DrayError {
  if (!existsSync(paths.dir)) return gone(record.name)
  if (record.keeper === 'owner') {
    const message = `container ${record.name} runs in the foreground with --rm: it can't be changed`
    return new DrayError('CONTAINER_STATE', message)
  }
  return new DrayError('CONTAINER_STATE', `another command holds container ${record.name}`)
}

function gone(name: string): DrayError {
  return new DrayError('CONTAINER_UNKNOWN', `container ${name} was removed meanwhile`)
}
