/**
 * Loads Dray's registry and Debian's docker-registry in turn, on the same disk, and prints medians and ratios.
 *
 *     node bench/registry.ts [--rounds 5] [--dir DIR] [--workers N] [WORD]
 *
 * WORD picks the works whose name it is in. Needs docker-registry and wrk (Debian packages of these names).
 */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatTable } from '#cli/output/format.ts'
import { Connection } from './support/connection.ts'
import { median } from './support/median.ts'
import { MANIFEST, pushBlob, pushImage, repeated } from './support/push.ts'
import { type RunningRegistry, startDockerRegistry, startDray } from './support/registries.ts'

const MB = 1000 ** 2
const MiB = 1024 ** 2
const SMALL_REQUESTS_SECONDS = 1

interface Work {
  readonly name: string
  readonly unit: string
  /** Does it once and returns how much of `unit` it did in a second. */
  run(registry: RunningRegistry): Promise<number>
}

const { values, positionals } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    dir: { type: 'string', default: tmpdir() },
    workers: { type: 'string' },
  },
  allowPositionals: true,
})
const [word = ''] = positionals
const args = values.workers === undefined ? [] : ['--workers', values.workers]
const rounds = Number(values.rounds)
const dir = mkdtempSync(join(values.dir, 'dray-bench-'))
const blob = repeated(randomBytes(MiB), 100 * MB)

const WORKS: readonly Work[] = [1, 16].flatMap((clients) => [
  headBlob(clients),
  manifestByTag(clients),
  {
    name: `GET blob of 100 MB, ${clients}`,
    unit: 'MB/s',
    run: ({ port }) => download(port, clients, { size: 100 * MB, ranges: false }),
  },
  {
    name: `GET ranges of 1 MiB, ${clients}`,
    unit: '/s',
    run: async ({ port }) =>
      (await download(port, clients, { size: MiB, ranges: true })) * (MB / MiB),
  },
])

const PUSHES: readonly Work[] = [1, 16].map((clients) => ({
  name: `push of 200 MB, ${clients}`,
  unit: 'MB/s',
  run: (registry) => pushAll(registry.port, clients),
}))

/** `wrk` costs the least of all clients, but waits for the bodies of answers to HEAD. */
function manifestByTag(clients: number): Work {
  return {
    name: `GET manifest by tag, ${clients}`,
    unit: '/s',
    async run({ port }) {
      const load = ['-t1', `-c${clients}`, `-d${SMALL_REQUESTS_SECONDS}`]
      const request = ['-H', `Accept: ${MANIFEST}`, `http://127.0.0.1:${port}/v2/bench/manifests/1`]
      const out = execFileSync('wrk', [...load, ...request], { encoding: 'utf8' })
      if (/Non-2xx|Socket errors/.test(out)) throw new Error(out)
      return Number(/Requests\/sec: +([0-9.]+)/.exec(out)?.[1])
    },
  }
}

function headBlob(clients: number): Work {
  const path = `/v2/bench/blobs/${blob.digest}`
  return {
    name: `HEAD blob, ${clients}`,
    unit: '/s',
    async run({ port }) {
      let done = 0
      const until = performance.now() + SMALL_REQUESTS_SECONDS * 1000
      await timed(0, port, clients, async (connection) => {
        for (; performance.now() < until; done++) await connection.send({ method: 'HEAD', path })
      })
      return done / SMALL_REQUESTS_SECONDS
    },
  }
}

async function download(
  port: number,
  clients: number,
  { size, ranges }: { size: number; ranges: boolean },
): Promise<number> {
  const times = Math.ceil((ranges ? 400 : 16) / clients)
  const path = `/v2/bench/blobs/${blob.digest}`
  return await timed(clients * times * size, port, clients, async (connection, client) => {
    for (let i = 0; i < times; i++) {
      const at = (((client * times + i) * 7) % 95) * MiB
      const headers: Record<string, string> = ranges
        ? { Range: `bytes=${at}-${at + size - 1}` }
        : {}
      const { bytes } = await connection.send({ method: 'GET', path, headers })
      if (bytes !== size) throw new Error(`${bytes} bytes came, not ${size}`)
    }
  })
}

async function pushAll(port: number, clients: number): Promise<number> {
  const blobs = Array.from({ length: clients }, () => repeated(randomBytes(MiB), 200 * MB))
  return await timed(clients * 200 * MB, port, clients, async (connection, client) => {
    const blob = blobs[client]
    if (blob !== undefined) await pushBlob(connection, `bench${client}`, blob)
  })
}

/** Megabytes in a second of `clients` that work at once. */
async function timed(
  bytes: number,
  port: number,
  clients: number,
  work: (connection: Connection, client: number) => Promise<void>,
): Promise<number> {
  const connections = await Promise.all(
    Array.from({ length: clients }, () => Connection.open(port)),
  )
  const started = performance.now()
  await Promise.all(connections.map(work))
  const seconds = (performance.now() - started) / 1000
  for (const connection of connections) connection.close()
  return bytes / MB / seconds
}

async function measure(work: Work, registries: readonly RunningRegistry[]): Promise<string[]> {
  const rates = new Map(registries.map((registry) => [registry, [] as number[]]))
  // The first round warms the caches and doesn't count.
  for (let round = 0; round <= rounds; round++) {
    for (const [registry, list] of rates) {
      const rate = await work.run(registry)
      if (round > 0) list.push(rate)
    }
  }
  const [ours = 0, theirs = 0] = [...rates.values()].map(median)
  const cells = [ours, theirs].map((rate) => `${Math.round(rate)} ${work.unit}`)
  return [work.name, ...cells, `${(ours / theirs).toFixed(2)}x`]
}

const registries: RunningRegistry[] = []
try {
  registries.push(await startDray({ dir: join(dir, 'dray'), args }))
  registries.push(await startDockerRegistry(join(dir, 'docker-registry')))
  for (const { port } of registries) await pushImage(port, 'bench', '1', blob)
  const rows = [['work, clients', ...registries.map(({ name }) => name), 'ratio']]
  for (const work of [...WORKS, ...PUSHES]) {
    if (!work.name.includes(word)) continue
    rows.push(await measure(work, registries))
    console.log(formatTable(rows.slice(-1)).trimEnd())
  }
  console.log(`\nmedians of ${rounds}; ratio is Dray over docker-registry\n${formatTable(rows)}`)
} finally {
  for (const registry of registries) await registry.stop()
  rmSync(dir, { recursive: true, force: true })
}
