import { closeSync, constants, openSync, readSync } from 'node:fs'
import { isErrno } from '#oci/error.ts'

const KERNEL_LOG = '/dev/kmsg'
/** The most that a line of it takes, with all that is written as \xNN (CONSOLE_EXT_LOG_MAX). */
const LINE_LIMIT = 8192
/** How far a moment of the kernel's clock and one of the host's may be apart. */
const CLOCKS_APART_MS = 1000

/**
 * Whether the kernel says that it killed in a container's cgroup since its run began, because memory ran out. It does as long as the
 * kernel remembers, though the cgroup and its counters are gone. No to whom the kernel shows no log.
 *
 * @param startedAt when the run began, as RFC 3339 has it
 */
export function wasKilledForMemory(id: string, startedAt: string): boolean {
  const oldest = uptimeMs() - (Date.now() - Date.parse(startedAt)) - CLOCKS_APART_MS
  for (const line of kernelLines()) {
    const kill = parseMemoryKill(line)
    if (kill?.cgroup.includes(id) && kill.atMs >= oldest) return true
  }
  return false
}

/**
 * What a line of /dev/kmsg says of a process that was killed because memory ran out.
 *
 * @returns its cgroup, and when, in ms since the boot; undefined when the line says something else
 */
export function parseMemoryKill(
  line: string,
): { readonly cgroup: string; readonly atMs: number } | undefined {
  const [, microseconds, cgroup = ''] =
    /^\d+,\d+,(\d+),[^;]*;oom-kill:.*,task_memcg=([^,\n]*)/.exec(line) ?? []
  return microseconds === undefined ? undefined : { cgroup, atMs: Number(microseconds) / 1000 }
}

/** On the clock of the kernel's log, which stands still while the host sleeps. */
function uptimeMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}

function* kernelLines(): Generator<string> {
  let fd: number
  try {
    fd = openSync(KERNEL_LOG, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EPERM', 'EACCES')) return
    throw error
  }
  const buffer = Buffer.alloc(LINE_LIMIT)
  try {
    for (;;) {
      const line = readLine(fd, buffer)
      if (line === undefined) return
      yield line
    }
  } finally {
    closeSync(fd)
  }
}

/** One line for each call, as the device has it; undefined at the end. */
function readLine(fd: number, buffer: Buffer): string | undefined {
  for (;;) {
    try {
      return buffer.toString('latin1', 0, readSync(fd, buffer))
    } catch (error) {
      if (isErrno(error, 'EAGAIN')) return undefined
      // The line was overwritten meanwhile: on to the next one that there is.
      if (!isErrno(error, 'EPIPE')) throw error
    }
  }
}
