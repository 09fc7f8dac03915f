import { totalmem } from 'node:os'
import { join } from 'node:path'
import { innerDir } from './cgroup.ts'
import { CGROUP_ROOT } from './cgroup-path.ts'
import { readText } from './read-text.ts'

/** What the processes of a cgroup use, as docker counts it. */
export interface CgroupUsage {
  readonly cpuNs: number
  /** Without the pages of files that the kernel can drop at once. */
  readonly memory: number
  /** The limit, or what the host has. */
  readonly memoryLimit: number
  readonly pids: number
  readonly blockRead: number
  readonly blockWritten: number
}

/** Reads the counters of a cgroup, of v1 or v2. Those that the host doesn't count are 0. */
export function readUsage(path: string): CgroupUsage {
  const usage = isUnified(path) ? readV2(innerDir(path)) : readV1(path)
  return { ...usage, memoryLimit: Math.min(usage.memoryLimit || totalmem(), totalmem()) }
}

function isUnified(path: string): boolean {
  return readText(join(CGROUP_ROOT, path, 'cgroup.controllers')) !== ''
}

function readV2(dir: string): CgroupUsage {
  const stat = counters(readText(join(dir, 'memory.stat')))
  const io = readText(join(dir, 'io.stat'))
  const limit = readText(join(dir, 'memory.max')).trim()
  return {
    cpuNs: (counters(readText(join(dir, 'cpu.stat'))).usage_usec ?? 0) * 1000,
    memory: Math.max(0, Number(readText(join(dir, 'memory.current'))) - (stat.inactive_file ?? 0)),
    memoryLimit: limit === 'max' ? 0 : Number(limit),
    pids: Number(readText(join(dir, 'pids.current'))),
    blockRead: sum(io, /rbytes=(\d+)/g),
    blockWritten: sum(io, /wbytes=(\d+)/g),
  }
}

function readV1(path: string): CgroupUsage {
  const file = (controller: string, name: string) =>
    readText(join(CGROUP_ROOT, controller, path, name))
  const stat = counters(file('memory', 'memory.stat'))
  const io = file('blkio', 'blkio.throttle.io_service_bytes')
  return {
    cpuNs: Number(file('cpuacct', 'cpuacct.usage')),
    memory: Math.max(
      0,
      Number(file('memory', 'memory.usage_in_bytes')) - (stat.total_inactive_file ?? 0),
    ),
    memoryLimit: Number(file('memory', 'memory.limit_in_bytes')),
    pids: Number(file('pids', 'pids.current')),
    blockRead: sum(io, /Read (\d+)/g),
    blockWritten: sum(io, /Write (\d+)/g),
  }
}

/** `name number` a line. */
function counters(text: string): Readonly<Record<string, number>> {
  return Object.fromEntries(
    text.split('\n').map((line) => {
      const [name = '', value] = line.split(' ')
      return [name, Number(value)]
    }),
  )
}

function sum(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0)
}
