/**
 * What auth costs: manifests by tag for 16 clients, from a registry that asks nobody and from one that asks for tokens,
 * in turn; prints medians and ratios.
 *
 *     node bench/auth.ts [--rounds 5] [--workers 1]
 *
 * Needs wrk (a Debian package of this name).
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import bcrypt from 'bcryptjs'
import { formatTable } from '#cli/output/format.ts'
import { median } from './support/median.ts'
import { MANIFEST, pushImage, repeated } from './support/push.ts'
import { type RunningRegistry, startDray } from './support/registries.ts'

const SECONDS = 2
const CLIENTS = 16
const RULES = [
  { name: 'others', subjects: ['group:others'], repositories: ['x/**'], actions: ['pull'] },
  { name: 'team', subjects: ['user:alice'], repositories: ['ben*/**', 'b*h'], actions: ['pull'] },
]

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    workers: { type: 'string', default: '1' },
  },
})
const dir = mkdtempSync(join(tmpdir(), 'dray-bench-'))
const htpasswd = join(dir, 'htpasswd')
const config = join(dir, 'config.json')
writeFileSync(htpasswd, `alice:${bcrypt.hashSync('secret', 10)}\n`)
writeFileSync(config, JSON.stringify({ auth: { htpasswd, rules: RULES } }))
const basic = `Basic ${Buffer.from('alice:secret').toString('base64')}`

// Registries take the directory that they are given with them; this one stays.
const args = ['--workers', values.workers, '--data', join(dir, 'data')]
const scratch = join(dir, 'scratch')
const filler = await startDray({ dir: scratch, args })
await pushImage(filler.port, 'bench', '1', repeated(Buffer.from('layer'), 5))
await filler.stop()

const results: Record<string, number[]> = {}
for (let round = 0; round < Number(values.rounds); round++) {
  await measure('nobody', args)
  const closed = [...args, '--config', config]
  await measure('token', closed, async ({ port }) => {
    const url = `http://127.0.0.1:${port}/token?scope=repository:bench:pull`
    const answer = await fetch(url, { headers: { authorization: basic } })
    return `Bearer ${((await answer.json()) as { token: string }).token}`
  })
  await measure('password', closed, async () => basic)
}
const base = median(results.nobody ?? [])
console.log(
  formatTable([
    ['WHO IS ASKED', 'MANIFESTS/S', 'OF NOBODY'],
    ...Object.entries(results).map(([name, rates]) => [
      name,
      median(rates).toFixed(0),
      (median(rates) / base).toFixed(2),
    ]),
  ]),
)
rmSync(dir, { recursive: true })

async function measure(
  name: string,
  args: readonly string[],
  authorize?: (registry: RunningRegistry) => Promise<string>,
): Promise<void> {
  const registry = await startDray({ dir: scratch, args })
  const header =
    authorize === undefined ? [] : ['-H', `Authorization: ${await authorize(registry)}`]
  const url = `http://127.0.0.1:${registry.port}/v2/bench/manifests/1`
  const load = (seconds: number) =>
    execFileSync(
      'wrk',
      ['-t1', `-c${CLIENTS}`, `-d${seconds}`, '-H', `Accept: ${MANIFEST}`, ...header, url],
      { encoding: 'utf8' },
    )
  load(1)
  const out = load(SECONDS)
  if (/Non-2xx|Socket errors/.test(out)) throw new Error(out)
  results[name] = [...(results[name] ?? []), Number(/Requests\/sec: +([0-9.]+)/.exec(out)?.[1])]
  await registry.stop()
}
