import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isSameProcess } from '#runner/processes.ts'
import { containerStore } from '../../support/container-store.ts'
import { until } from '../support/run.ts'

const store = containerStore()
const { dray, inspect, ok } = store

const CHECK = [
  '--health-cmd',
  'cat /tmp/well',
  '--health-interval',
  '100ms',
  '--health-retries',
  '1',
]
const run = (name: string, ...args: string[]) =>
  ok('run', '-d', '--name', name, '--network', 'none', ...args)
/** Nothing, as long as the container hasn't started. */
const statusOf = async (name: string) =>
  (await dray('inspect', '-f', '{{.State.Health.Status}}', name)).stdout.trim()
const becomes = (name: string, status: string) =>
  until(`${name} is ${status}`, async () => (await statusOf(name)) === status)
const psOf = (...args: string[]) => ok('ps', '-a', '--format', '{{.Names}} {{.Status}}', ...args)

/** The process that checks a container's health. */
function watchOf(id: string): { readonly pid: number; readonly ticks: string } {
  return JSON.parse(readFileSync(join(store.root, 'containers', id, 'health.watch'), 'utf8'))
}

describe('the health of a container', { timeout: 900_000 }, () => {
  it('is found out at its interval, and seen by ps, inspect and events', async () => {
    const id = await run('web', ...CHECK, 'busybox:1', 'sleep', '1000')
    await becomes('web', 'unhealthy')
    await ok('exec', 'web', 'sh', '-c', 'echo fine > /tmp/well')
    await becomes('web', 'healthy')
    assert.match(await psOf('--filter', 'health=healthy'), /^web Up .* \(healthy\)$/)
    assert.equal(await psOf('--filter', 'health=unhealthy', '--filter', 'health=none'), '')
    assert.match(await inspect('web', '{{json .State.Health.Log}}'), /"ExitCode":0,"Output":"fine/)
    const since = ['--since', '10m', '--until', '0s', '--filter', 'event=health_status']
    const events = await ok('events', ...since, '--format', '{{.Action}}')
    assert.deepEqual(events.split('\n'), ['health_status: unhealthy', 'health_status: healthy'])
    const watch = watchOf(id)
    await ok('stop', 'web')
    assert.ok(!isSameProcess(watch.pid, watch.ticks))
    assert.doesNotMatch(await psOf('--filter', 'name=web'), /health/)
  })

  it('begins anew with every start', async () => {
    await ok('start', 'web')
    await becomes('web', 'healthy')
    await ok('exec', 'web', 'rm', '/tmp/well')
    await ok('restart', 'web')
    await becomes('web', 'unhealthy')
    const log = await inspect('web', '{{range .State.Health.Log}}{{.ExitCode}} {{end}}')
    assert.doesNotMatch(log, /0/)
  })

  it('is unknown when what checks it was killed, until the next start', async () => {
    const id = await inspect('web', '{{.Id}}')
    process.kill(watchOf(id).pid, 'SIGKILL')
    await becomes('web', 'unknown')
    assert.match(await psOf('--filter', 'health=unknown'), /^web Up .* \(health: unknown\)$/)
    await ok('restart', 'web')
    await becomes('web', 'unhealthy')
  })

  it('is found out in another way from an update on, or not at all', async () => {
    await ok('update', '--health-cmd', 'true', 'web')
    await becomes('web', 'healthy')
    assert.equal(await inspect('web', '{{.Config.Healthcheck.Interval}}'), '100000000')
    const watch = watchOf(await inspect('web', '{{.Id}}'))
    await ok('update', '--no-healthcheck', 'web')
    assert.ok(!isSameProcess(watch.pid, watch.ticks))
    assert.doesNotMatch(await inspect('web', '{{json .State}}'), /Health/)
    await ok('rm', '-f', 'web')
  })

  it('is checked when asked, with an exit code', async () => {
    const slow = ['--health-cmd', 'cat /tmp/well', '--health-interval', '1h']
    await run('asked', ...slow, '--health-timeout', '5s', 'busybox:1', 'sleep', '1000')
    const ask = async () => (await dray('healthcheck', 'run', 'asked')).code
    assert.equal(await ask(), 1)
    await ok('exec', 'asked', 'touch', '/tmp/well')
    assert.equal(await ask(), 0)
    await ok('exec', 'asked', 'sh', '-c', 'rm /tmp/well; mkfifo /tmp/well || mknod /tmp/well p')
    assert.equal(await ask(), 1)
    const codes = await inspect('asked', '{{range .State.Health.Log}}{{.ExitCode}} {{end}}')
    assert.equal(codes, '1 0 -1')
    await ok('rm', '-f', 'asked')
    assert.equal(await ask(), 125)
  })

  it('of an image is checked, kept by commit, and not checked when that is not wanted', async () => {
    await run('made', 'busybox:1', 'sleep', '1000')
    await ok('commit', '-c', 'HEALTHCHECK --interval=100ms CMD ["true"]', 'made', 'checked:1')
    await run('checked', 'checked:1', 'sleep', '1000')
    await becomes('checked', 'healthy')
    await ok('commit', 'checked', 'checked:2')
    const template = '{{json .Config.Healthcheck}}'
    assert.equal(
      await ok('inspect', '--type', 'image', '-f', template, 'checked:2'),
      '{"Test":["CMD","true"],"Interval":100000000}',
    )
    await run('unchecked', '--no-healthcheck', 'checked:2', 'sleep', '1000')
    assert.match(await psOf('--filter', 'health=none', '--filter', 'name=unch'), /^unchecked Up/)
    assert.equal(await psOf('--filter', 'health=none', '--filter', 'name=^checked'), '')
    assert.equal((await dray('healthcheck', 'run', 'unchecked')).code, 125)
    await ok('rm', '-f', 'made', 'checked', 'unchecked')
  })

  it('is checked in the foreground with --rm, too, and nothing is left', async () => {
    const child = store.start(
      'run',
      '--rm',
      '--name',
      'front',
      '--network',
      'none',
      ...CHECK,
      'busybox:1',
      'sh',
      '-c',
      'touch /tmp/well; while [ -e /tmp/well ]; do sleep 0.1; done; exit 7',
    )
    const exit = new Promise((resolve) => child.once('exit', resolve))
    await becomes('front', 'healthy')
    await ok('exec', 'front', 'rm', '/tmp/well')
    assert.equal(await exit, 7)
    const isGone = async () => (await ok('ps', '-aq')) === '' && store.leftovers().length === 0
    await until('nothing is left', isGone, 60_000)
  })
})
