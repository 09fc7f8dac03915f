import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { openSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { type CephOptions, cephSettings } from './ceph-settings.ts'

/** A throwaway S3 server: Ceph's object gateway over one monitor and one in-memory object store, on loopback. */
export interface Ceph {
  /** Such as `http://127.0.0.1:41234`; buckets are addressed by path, the region is `us-east-1`. */
  readonly endpoint: string
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  /** Makes an empty bucket, in which everybody may write if it is public, and returns its name. */
  createBucket(options?: { readonly isPublic?: boolean }): Promise<string>
  /** Kills the gateway alone: clients see refused connections, the data stays. */
  killGateway(): Promise<void>
  /** Starts the gateway again on the same port. */
  restartGateway(): Promise<void>
  /** Ends every process and removes the state. */
  stop(): Promise<void>
}

const START_TIMEOUT_MS = 30_000
const START_TRIES = 3
const run = promisify(execFile)

/**
 * Starts a cluster with its state in a new temporary directory, in about two seconds. Several may run at once. Its
 * processes die with this one, however that ends. Needs root, and the Debian packages ceph-mon, ceph-osd, radosgw.
 */
export async function startCeph(options: CephOptions = {}): Promise<Ceph> {
  for (let tries = 1; ; tries++) {
    try {
      return await startOnce(options)
    } catch (error) {
      // A port that was free may be another cluster's by the time that the monitor takes it.
      if (tries === START_TRIES) throw error
    }
  }
}

async function startOnce(options: CephOptions): Promise<Ceph> {
  const dir = await mkdtemp(join(options.dir ?? tmpdir(), 'dray-ceph-'))
  const cluster = new Cluster(dir, options)
  try {
    await cluster.start()
  } catch (error) {
    const tail = await cluster.logTail()
    await cluster.stop()
    const { message, stderr = '' } = error as Error & { stderr?: string }
    throw new Error(`Ceph did not start: ${message.split('\n')[0]}\n${stderr}${tail}`)
  }
  return cluster
}

class Cluster implements Ceph {
  readonly credentials = { accessKeyId: 'dray-test', secretAccessKey: randomUUID() }
  readonly #dir: string
  readonly #options: CephOptions
  readonly #daemons = new Map<string, ChildProcess>()
  #port = 0

  constructor(dir: string, options: CephOptions) {
    this.#dir = dir
    this.#options = options
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async start(): Promise<void> {
    const [monPort, gatewayPort] = await freePorts()
    this.#port = gatewayPort
    const fsid = randomUUID()
    for (const name of ['mon', 'osd']) await mkdir(this.#path(name))
    await writeFile(
      this.#path('ceph.conf'),
      cephSettings({ dir: this.#dir, fsid, gatewayPort }, this.#options),
    )
    await this.#run('monmaptool', [
      ...['--create', '--fsid', fsid, '--addv', 'a', `[v1:127.0.0.1:${monPort}]`],
      this.#path('monmap'),
    ])
    await this.#run('ceph-mon', ['-i', 'a', '--mkfs', '--monmap', this.#path('monmap')])
    this.#daemon('ceph-mon', ['-i', 'a'])
    const osd = randomUUID()
    await this.#run('ceph', ['osd', 'new', osd])
    await this.#run('ceph-osd', ['-i', '0', '--mkfs', '--osd-uuid', osd])
    this.#daemon('ceph-osd', ['-i', '0'])
    await this.#run('radosgw-admin', [
      ...['-n', 'client.rgw', 'user', 'create', '--uid=test', '--display-name=test'],
      `--access-key=${this.credentials.accessKeyId}`,
      `--secret-key=${this.credentials.secretAccessKey}`,
    ])
    await this.restartGateway()
  }

  async createBucket({ isPublic = false } = {}): Promise<string> {
    const ACL = isPublic ? 'public-read-write' : 'private'
    const name = `test-${randomUUID()}`
    const { endpoint, credentials } = this
    const client = new S3Client({
      endpoint,
      credentials,
      region: 'us-east-1',
      forcePathStyle: true,
    })
    try {
      await client.send(new CreateBucketCommand({ Bucket: name, ACL }))
    } finally {
      client.destroy()
    }
    return name
  }

  async killGateway(): Promise<void> {
    await this.#kill('radosgw')
  }

  async restartGateway(): Promise<void> {
    const gateway = this.#daemon('radosgw', ['-n', 'client.rgw'])
    const deadline = Date.now() + START_TIMEOUT_MS
    while (!(await answers(this.endpoint))) {
      if (Date.now() > deadline) throw new Error('the gateway does not answer')
      if (gateway.exitCode !== null) throw new Error(`radosgw exited with ${gateway.exitCode}`)
      await sleep(50)
    }
  }

  async stop(): Promise<void> {
    for (const name of [...this.#daemons.keys()]) await this.#kill(name)
    await rm(this.#dir, { recursive: true, force: true })
  }

  async logTail(): Promise<string> {
    const log = await readFile(this.#path('daemons.log'), 'utf8').catch(() => '')
    return log.slice(-2000)
  }

  #path(name: string): string {
    return join(this.#dir, name)
  }

  async #run(program: string, args: readonly string[]): Promise<void> {
    const config = program === 'monmaptool' ? [] : ['-c', this.#path('ceph.conf')]
    await run(program, [...config, ...args], {
      env: environment(),
      timeout: START_TIMEOUT_MS,
    })
  }

  /** The kernel kills a daemon when this process ends, so that no failure of a test leaves one behind. */
  #daemon(program: string, args: readonly string[]): ChildProcess {
    const log = openSync(this.#path('daemons.log'), 'a')
    const argv = ['--pdeathsig', 'KILL', program, '-c', this.#path('ceph.conf'), ...args, '-f']
    const child = spawn('setpriv', argv, { env: environment(), stdio: ['ignore', log, log] })
    child.unref()
    this.#daemons.set(program, child)
    return child
  }

  /** State is thrown away, so nothing is shut down in order: that would take seconds. */
  async #kill(name: string): Promise<void> {
    const child = this.#daemons.get(name)
    this.#daemons.delete(name)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.ref()
    child.kill('SIGKILL')
    await ended
  }
}

/** Without the configuration round trip the daemons take the fsid from the monmap file; with it one start in four fails. */
function environment(): NodeJS.ProcessEnv {
  const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`
  return { ...process.env, PATH, CEPH_ARGS: '--no-mon-config' }
}

async function answers(endpoint: string): Promise<boolean> {
  try {
    const response = await fetch(endpoint, { signal: AbortSignal.timeout(2000) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}

async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()]
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
        }),
    ),
  )
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return [ports[0] ?? 0, ports[1] ?? 0]
}
