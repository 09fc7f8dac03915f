import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { globalAgent } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf } from '#oci/digest.ts'
import { suitableWorkers } from '#registry/workers/count.ts'
import { createRegistryClient, type RegistryClient } from '../contract/registry/fixture.ts'
import { basic, htpasswdOf } from '../support/closed-registry.ts'
import { dray, startDray } from '../support/dray.ts'
import { tempDir } from '../support/temp-dir.ts'

interface LogLine {
  readonly msg: string
  readonly pid: number
  readonly worker?: number
  readonly method?: string
  readonly path?: string
  /** The process of a worker that is to be replaced. */
  readonly ended?: number
  readonly url?: string
}

/** A registry of several processes, as a user starts it. */
class Workers {
  readonly child: ChildProcess
  readonly log: LogLine[] = []
  url = ''
  readonly #exited: Promise<unknown[]>

  constructor(dataDir: string, count: number, more: readonly string[] = []) {
    const workers = ['--workers', String(count), ...more]
    const args = [
      '--listen',
      '127.0.0.1:0',
      '--metrics-listen',
      '127.0.0.1:0',
      '--data',
      dataDir,
      ...workers,
    ]
    const child = startDray(['serve', ...args])
    this.child = child
    this.#exited = once(child, 'exit')
    createInterface(child.stdout).on('line', (line) => {
      this.log.push(JSON.parse(line))
      child.emit('logged')
    })
  }

  /** Starts a registry that ends with the test, whatever comes of it. */
  static async start(
    t: TestContext,
    count: number,
    more: readonly string[] = [],
  ): Promise<Workers> {
    const workers = new Workers(tempDir(t), count, more)
    t.after(() => workers.child.kill('SIGKILL'))
    return workers.start()
  }

  async start(): Promise<this> {
    for await (const line of createInterface(this.child.stderr ?? assert.fail())) {
      this.url = /listening on (http:[^\s,]+)/.exec(line)?.[1] ?? assert.fail(line)
      break
    }
    return this
  }

  async logged(isWanted: (line: LogLine) => boolean): Promise<LogLine> {
    for (;;) {
      const found = this.log.find(isWanted)
      if (found !== undefined) return found
      await once(this.child, 'logged')
    }
  }

  /** The last process of a worker that has begun to listen, but for `not`. */
  async pidOf(worker: number, not?: number): Promise<number> {
    const isWanted = (line: LogLine) =>
      line.msg === 'registry is listening' && line.worker === worker && line.pid !== not
    await this.logged(isWanted)
    return this.log.findLast(isWanted)?.pid ?? assert.fail()
  }

  /** The sum of a metric over all series with these labels. */
  async count(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const { url = '' } = await this.logged(({ msg }) => msg === 'metrics are shown')
    const text = await (await fetch(url)).text()
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
    return text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .filter((line) => wanted.every((label) => line.includes(label)))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<unknown[]> {
    this.child.kill(signal)
    return this.#exited
  }
}

describe('a registry of several workers that asks who is there', () => {
  it('takes other rules in all of them on SIGHUP, and keeps the old ones if the new are broken', async (t) => {
    const dir = tempDir(t)
    const path = join(dir, 'config.json')
    const htpasswd = join(dir, 'htpasswd')
    writeFileSync(htpasswd, htpasswdOf({ alice: 'a', bob: 'b' }))
    const allow = (user: string) => {
      const rule = { name: user, subjects: [`user:${user}`], repositories: ['**'] }
      const auth = { htpasswd, rules: [{ ...rule, actions: ['pull'] }] }
      writeFileSync(path, JSON.stringify({ auth }))
    }
    allow('alice')
    const workers = await Workers.start(t, 2, ['--config', path])
    await workers.pidOf(1)
    await workers.pidOf(2)
    const said = createInterface(workers.child.stderr ?? assert.fail())[Symbol.asyncIterator]()
    const isAllowed = async (user: string) => {
      const statuses = await Promise.all(
        Array.from({ length: 8 }, async () => {
          const headers = { authorization: basic(user, user.slice(0, 1)), connection: 'close' }
          return (await fetch(`${workers.url}/v2/x/tags/list`, { headers })).status
        }),
      )
      const [first] = new Set(statuses)
      assert.equal(new Set(statuses).size, 1, `${statuses}`)
      return first === 404
    }
    assert.deepEqual([await isAllowed('alice'), await isAllowed('bob')], [true, false])
    allow('bob')
    workers.child.kill('SIGHUP')
    assert.match(String((await said.next()).value), /took the rules/)
    const isTaken = ({ msg }: LogLine) => msg.startsWith('took the rules')
    await workers.logged((line) => isTaken(line) && line.worker === 1)
    await workers.logged((line) => isTaken(line) && line.worker === 2)
    assert.deepEqual([await isAllowed('alice'), await isAllowed('bob')], [false, true])
    writeFileSync(path, '{"auth":')
    workers.child.kill('SIGHUP')
    assert.match(String((await said.next()).value), /the rules stay as they were.*config\.json/)
    assert.deepEqual([await isAllowed('alice'), await isAllowed('bob')], [false, true])
    assert.deepEqual(await workers.stop(), [0, null])
  })
})

describe('a registry of several workers on one directory', () => {
  let workers: Workers
  let client: RegistryClient
  const dir = mkdtempSync(join(tmpdir(), 'dray-workers-'))
  before(async () => {
    workers = await new Workers(dir, 3).start()
    client = createRegistryClient([workers.url])
  })
  after(async () => {
    await workers.stop()
    rmSync(dir, { recursive: true })
  })

  it('answers from each of them, and each sees what the others took', async () => {
    const pushes = Array.from({ length: 12 }, (_, i) =>
      client.pushImage(`app${i % 3}`, `v${i}`, `layer ${i}`),
    )
    await Promise.all(pushes)
    for (let i = 0; i < 12; i++) {
      await client.expect(200, 'GET', `/v2/app${i % 3}/manifests/v${i}`)
    }
    const lines = await Promise.all(
      [1, 2, 3].map((n) => workers.logged(({ msg, worker }) => msg === 'request' && worker === n)),
    )
    assert.equal(new Set(lines.map(({ pid }) => pid)).size, 3)
  })

  it('continues an upload in whichever worker is asked', async () => {
    const location = await client.startUpload('app')
    const parts = ['one ', 'two ', 'three ', 'four']
    for (const body of parts) await client.expect(202, 'PATCH', location, { body })
    const digest = digestOf(parts.join(''))
    await client.expect(201, 'PUT', `${location}?digest=${digest}`)
    const { body } = await client.expect(200, 'GET', `/v2/app/blobs/${digest}`)
    assert.equal(body.toString(), parts.join(''))
  })

  it('asks the worker that has hashed an upload, and doesn’t read the bytes again', async () => {
    const headers = { connection: 'close' }
    const digest = digestOf('hashed')
    for (;;) {
      const location = await client.startUpload('app')
      await client.expect(202, 'PATCH', location, { body: 'hashed', headers })
      // Whoever read them again would find that they don't match.
      const [upload = ''] = readdirSync(join(dir, 'uploads'))
      writeFileSync(join(dir, 'uploads', upload, '6'), 'change')
      await client.expect(201, 'PUT', `${location}?digest=${digest}`, { headers })
      const [patch, put] = await Promise.all(
        ['PATCH', 'PUT'].map((method) =>
          workers.logged((line) => line.method === method && line.path === location),
        ),
      )
      if (patch?.worker !== put?.worker) return
    }
  })

  it('replaces a worker that is killed, while the others answer', async () => {
    for (const worker of [1, 2]) {
      const pid = await workers.pidOf(worker)
      process.kill(pid, 'SIGKILL')
      await workers.logged(({ ended }) => ended === pid)
      // Its connections may not have been seen to end.
      globalAgent.destroy()
      await client.expect(200, 'GET', '/v2/')
      await workers.pidOf(worker, pid)
    }
    await client.expect(200, 'GET', '/v2/app0/manifests/v0')
  })

  it('counts over all workers, and never back when one ends', async () => {
    const manifests = () =>
      workers.count('dray_requests_total', { route: 'manifest', method: 'GET' })
    const before = await manifests()
    assert.ok(before >= 1)
    assert.equal(await workers.count('dray_workers_replaced_total'), 2)
    for (let i = 0; i < 6; i++) await client.expect(200, 'GET', '/v2/app0/manifests/v0')
    assert.equal(await manifests(), before + 6)
    const pid = await workers.pidOf(3)
    process.kill(pid, 'SIGKILL')
    await workers.logged(({ ended }) => ended === pid)
    await workers.pidOf(3, pid)
    assert.equal(await manifests(), before + 6)
  })

  it('replaces a worker that is told to end, which finishes its requests', async () => {
    const pid = await workers.pidOf(1)
    process.kill(pid, 'SIGTERM')
    await workers.logged((line) => line.msg === 'registry has stopped' && line.pid === pid)
    await workers.pidOf(1, pid)
  })
})

describe('a registry of several workers that can not start', () => {
  it('says once that its port is taken', async (t) => {
    const first = await Workers.start(t, 2)
    const listen = new URL(first.url).host
    const args = ['serve', '--listen', listen, '--data', tempDir(t), '--workers', '4']
    const { code, stdout, stderr } = await dray(args)
    assert.equal(code, 1)
    assert.match(stderr, /^dray: cannot listen on 127\.0\.0\.1:[0-9]+: another program.*\n$/)
    assert.equal(stdout, '')
    await first.stop()
  })

  it('says once that its directory cannot be used', async () => {
    const args = ['serve', '--listen', '127.0.0.1:0', '--data', '/dev/null/x', '--workers', '4']
    const { code, stderr } = await dray(args)
    assert.equal(code, 1)
    assert.match(stderr, /^dray: cannot use the data directory \/dev\/null\/x.*\n$/)
  })
})

describe('a registry of several workers that stops', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`lets requests finish at ${signal}, and takes no new ones`, async (t) => {
      const workers = await Workers.start(t, 2)
      const { socket } = await startPatch(workers.url, 'hello world'.length)
      socket.write('hello ')
      const exited = workers.stop(signal)
      await refused(workers.url)
      socket.write('world')
      const answer = (await Array.fromAsync(socket)).join('')
      assert.match(answer, /^HTTP\/1\.1 202 [\s\S]*\r\nRange: 0-10\r\n/)
      assert.match(answer, /\r\nConnection: close\r\n/)
      assert.deepEqual(await exited, [0, null])
      const pids = new Set(workers.log.map(({ pid }) => pid))
      for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
    })
  }

  it('ends at once at a second signal, with all workers', async (t) => {
    const workers = await Workers.start(t, 2)
    const { socket } = await startPatch(workers.url, 9)
    void workers.stop()
    await refused(workers.url)
    assert.deepEqual(await workers.stop(), [null, 'SIGTERM'])
    if (!socket.closed) await once(socket, 'close')
  })
})

describe('the number of workers that suits a machine', () => {
  it('is at least 1 and at most 4', () => {
    const count = suitableWorkers()
    assert.ok(Number.isInteger(count) && count >= 1 && count <= 4)
  })
})

/** Starts an upload, and a request of `length` bytes on it; returns when a worker waits for the first of them. */
async function startPatch(url: string, length: number) {
  const { host, hostname, port } = new URL(url)
  const location = await createRegistryClient([url]).startUpload('app')
  const socket = connect(Number(port), hostname).setEncoding('utf8')
  socket.on('error', () => {})
  const head = `Host: ${host}\r\nContent-Length: ${length}\r\nExpect: 100-continue\r\n\r\n`
  socket.write(`PATCH ${location} HTTP/1.1\r\n${head}`)
  const [answer] = await once(socket, 'data')
  assert.match(answer, /^HTTP\/1\.1 100 /)
  return { socket }
}

/** Waits until nobody listens any more. */
async function refused(url: string): Promise<void> {
  const { hostname, port } = new URL(url)
  for (;;) {
    const socket = connect(Number(port), hostname)
    const isTaken = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (!isTaken) return
    await sleep(10)
  }
}
