/**
 * What uploads cost Dray's registry: its memory under many of them at once, on a directory and on S3, beside that of
 * Debian's docker-registry; and on S3 how long the commit of a small and of a large blob takes.
 *
 *     node bench/uploads.ts [--dir DIR] [--uploads 32] [--size 1024] [--workers N] [--rounds 3] [WORK...]
 *
 * WORK is directory, docker-registry, s3 or commit; all, if none is named. Needs root, docker-registry, ceph-mon,
 * ceph-osd and radosgw (Debian packages of these names), and room in DIR for all uploads (of `--size` MiB each).
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatTable } from '#cli/output/format.ts'
import { type Ceph, startCeph } from '../test/support/ceph-rgw.ts'
import { Connection } from './support/connection.ts'
import { median } from './support/median.ts'
import { type TreeMemory, watchMemory } from './support/process-tree.ts'
import { type Blob, finishPush, pushBlob, repeated, sendBlob } from './support/push.ts'
import { type RunningRegistry, startDockerRegistry, startDray } from './support/registries.ts'

const MiB = 1024 ** 2
const GiB = 1024 ** 3

const { values, positionals } = parseArgs({
  options: {
    dir: { type: 'string', default: tmpdir() },
    uploads: { type: 'string', default: '32' },
    size: { type: 'string', default: '1024' },
    workers: { type: 'string' },
    rounds: { type: 'string', default: '3' },
  },
  allowPositionals: true,
})
const count = Number(values.uploads)
const size = Number(values.size) * MiB
const rounds = Number(values.rounds)
const dir = mkdtempSync(join(values.dir, 'dray-bench-'))
const args = values.workers === undefined ? [] : ['--workers', values.workers]
const isWanted = (work: string) => positionals.length === 0 || positionals.includes(work)

async function measureMemory(what: string, { pid, port }: RunningRegistry): Promise<string[]> {
  const idle = watchMemory(pid).stop()
  const blob = repeated(randomBytes(MiB), size)
  const connections = await Promise.all(Array.from({ length: count }, () => Connection.open(port)))
  const watch = watchMemory(pid)
  const started = performance.now()
  await Promise.all(connections.map((client, i) => pushBlob(client, `memory${i}`, blob)))
  const seconds = (performance.now() - started) / 1000
  const peak = watch.stop()
  for (const connection of connections) connection.close()
  const rate = Math.round((count * size) / 1e6 / seconds)
  return [what, formatMemory(idle), formatMemory(peak), `${rate} MB/s`]
}

function formatMemory({ rss, pss }: TreeMemory): string {
  return `${Math.round(pss / MiB)} (${Math.round(rss / MiB)}) MiB`
}

async function measureCommits({ port }: RunningRegistry): Promise<string> {
  const connection = await Connection.open(port)
  const times = { small: [] as number[], large: [] as number[] }
  for (let i = 0; i < rounds; i++) {
    times.small.push(await timeCommit(connection, repeated(randomBytes(MiB), 10 * MiB)))
    times.large.push(await timeCommit(connection, repeated(randomBytes(MiB), 5 * GiB)))
  }
  connection.close()
  const [small, large] = [median(times.small), median(times.large)]
  const ratio = (large / small).toFixed(2)
  return `commit on S3: 10 MiB ${small.toFixed(0)} ms, 5 GiB ${large.toFixed(0)} ms (${ratio}x)`
}

async function timeCommit(connection: Connection, blob: Blob): Promise<number> {
  const location = await sendBlob(connection, 'commit', blob)
  const started = performance.now()
  await finishPush(connection, location, blob)
  return performance.now() - started
}

async function startOnS3(ceph: Ceph): Promise<RunningRegistry> {
  const { endpoint, credentials } = ceph
  const bucket = ['--s3-bucket', await ceph.createBucket()]
  const server = ['--s3-endpoint', endpoint, '--s3-path-style']
  const env = {
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  }
  return await startDray({ dir: join(dir, 'dray'), args: [...args, ...bucket, ...server], env })
}

async function during<T>(
  starting: Promise<RunningRegistry>,
  work: (registry: RunningRegistry) => Promise<T>,
): Promise<T> {
  const registry = await starting
  try {
    return await work(registry)
  } finally {
    await registry.stop()
  }
}

const rows: string[][] = []
let commits: string | undefined
let ceph: Ceph | undefined
try {
  if (isWanted('directory')) {
    const starting = startDray({ dir: join(dir, 'dray'), args })
    rows.push(await during(starting, (dray) => measureMemory('dray, directory', dray)))
  }
  if (isWanted('docker-registry')) {
    const starting = startDockerRegistry(join(dir, 'docker-registry'))
    rows.push(await during(starting, (other) => measureMemory('docker-registry', other)))
  }
  if (isWanted('s3') || isWanted('commit')) {
    const capacityBytes = count * size + (rounds + 5) * 5 * GiB
    ceph = await startCeph({ keptIn: 'file', capacityBytes, dir })
    await during(startOnS3(ceph), async (dray) => {
      if (isWanted('s3')) rows.push(await measureMemory('dray, S3', dray))
      if (isWanted('commit')) commits = await measureCommits(dray)
    })
  }
  if (rows.length > 0) {
    const head = [`${count} uploads of ${values.size} MiB`, 'idle', 'most', 'rate']
    console.log(`memory with shared pages once (for each process), of all processes`)
    console.log(formatTable([head, ...rows]))
  }
  if (commits !== undefined) console.log(commits)
} finally {
  await ceph?.stop()
  rmSync(dir, { recursive: true, force: true })
}
