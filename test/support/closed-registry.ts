import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import bcrypt from 'bcryptjs'
import { pino } from 'pino'
import { createMetrics, type Metrics } from '#registry/metrics/metrics.ts'
import { parseConfig, type Registry, type Storage, startRegistry } from '#registry/index.ts'
import { createMemoryBlobDriver } from '#registry/storage/memory/blob-driver.ts'
import { createMemoryRecordDriver } from '#registry/storage/memory/record-driver.ts'
import { createRegistryClient, type RegistryClient } from '../contract/registry/fixture.ts'

/** The cheapest that the registry takes: tests hash often. */
const COST = 4

export interface ClosedRegistry {
  readonly registry: Registry
  readonly storage: Storage
  readonly metrics: Metrics
  readonly dir: string
  /** Everything that was logged, by line. */
  readonly lines: Record<string, unknown>[]
  readonly htpasswd: string
  /** A client that shows a token with each request. */
  bearing(token: string): RegistryClient
  /** A client that logs in with each request; without a name, one that doesn't. */
  as(user?: string, password?: string): RegistryClient
  stop(): Promise<void>
}

export interface ClosedRegistryOptions {
  /** Passwords by user. Default: each of `alice`, `bob` has its name and `-secret`. */
  readonly users?: Readonly<Record<string, string>>
  readonly rules: readonly object[]
  /** Other keys of `auth`. */
  readonly auth?: object
  /** Default: in memory. */
  readonly storage?: Storage
  /** Other keys of the configuration. */
  readonly config?: object
}

/** A registry in memory that asks who is there. */
export async function startClosedRegistry(options: ClosedRegistryOptions): Promise<ClosedRegistry> {
  const { users = { alice: 'alice-secret', bob: 'bob-secret' }, rules, auth, config } = options
  const storage = options.storage ?? inMemory()
  const dir = mkdtempSync(join(tmpdir(), 'dray-auth-'))
  const htpasswd = join(dir, 'htpasswd')
  writeFileSync(htpasswd, htpasswdOf(users))
  const lines: Record<string, unknown>[] = []
  const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const metrics = createMetrics()
  const flags = { listen: '127.0.0.1:0', auth: { htpasswd, rules, ...auth }, ...config } as never
  const registry = await startRegistry(parseConfig({ env: {}, flags }), {
    ...{ storage, logger, metrics },
  })
  return {
    ...{ registry, storage, metrics, dir, lines, htpasswd },
    as: (user, password = user === undefined ? undefined : users[user]) =>
      createRegistryClient(
        [registry.url],
        user === undefined ? {} : { authorization: basic(user, password ?? '') },
      ),
    bearing: (token) => createRegistryClient([registry.url], { authorization: `Bearer ${token}` }),
    async stop() {
      await registry.close()
      rmSync(dir, { recursive: true })
    },
  }
}

export function inMemory(): Storage {
  return { content: createMemoryBlobDriver(), records: createMemoryRecordDriver() }
}

/** An htpasswd file. */
export function htpasswdOf(users: Readonly<Record<string, string>>): string {
  return Object.entries(users)
    .map(([name, password]) => `${name}:${bcrypt.hashSync(password, COST)}\n`)
    .join('')
}

export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}
