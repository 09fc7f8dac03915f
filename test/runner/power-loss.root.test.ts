/** What is written down of containers, volumes and networks, when the power goes. */
import assert from 'node:assert/strict'
import { globSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { dray } from '../support/dray.ts'
import { drayHere } from '../support/dray-here.ts'
import { powerDisk } from '../support/power.ts'
import { makeBusyboxTree } from './support/busybox.ts'
import { tempDir } from '../support/temp-dir.ts'

/** Commands in order, each with what is listed after it: containers, volumes, networks. */
const STEPS = [
  ['create --name one -v data:/data app:1 true', 'one data'],
  ['create --name two --restart unless-stopped app:1 true', 'one two data'],
  ['rename two other', 'one other data'],
  ['volume create more', 'one other data more'],
  ['network create --disable-dns net', 'one other data more net'],
  ['update --memory 64m one', 'one other data more net'],
] as const

/** Commands that take away; what is taken away may come back. */
const REMOVALS = ['rm one', 'volume rm more', 'network rm net', 'rm -f other'] as const
const MOMENTS = 10

describe('a store of containers whose disk loses its power', () => {
  it('has what a command did that succeeded', async (t) => {
    const { disk, ok, listed } = await setUp(t)
    for (const [command, expected] of STEPS) {
      await ok(command)
      disk.cut()
      disk.restore()
      assert.equal(await listed(), expected, `after ${command}`)
    }
    assert.equal(await ok('inspect -f {{.HostConfig.Memory}} one'), String(64 * 1024 * 1024))
    for (const command of REMOVALS) {
      await ok(command)
      disk.cut()
      disk.restore()
      await listed()
    }
  })

  it('has what a volume got of the image', async (t) => {
    const { disk, root } = await setUp(t)
    const args = ['run', '--rm', '-v', 'copied:/bin', 'app:1', 'true']
    const { code, stderr } = await dray(args, { env: { DRAY_ROOT: root } })
    assert.equal(code, 0, stderr)
    disk.cut()
    disk.restore()
    const sizes = globSync('volumes/copied/_data/*', { cwd: root }).map(
      (path) => statSync(join(root, path)).size,
    )
    assert.ok(sizes.length > 0 && sizes.every((size) => size > 0), String(sizes))
  })

  it('has each record whole or not at all, at any moment, and goes on', async (t) => {
    const { disk, here, listed } = await setUp(t)
    const commands = [...STEPS.map(([command]) => command), ...REMOVALS]
    const untilCut = async () => {
      for (const [at, command] of commands.entries())
        if ((await here(command)).code !== 0) return at
      return commands.length
    }
    const started = performance.now()
    assert.equal(await untilCut(), commands.length)
    const took = performance.now() - started
    for (let moment = 0; moment < MOMENTS; moment++) {
      disk.sync()
      const working = untilCut()
      await delay((took * (moment + Math.random())) / MOMENTS)
      disk.cut()
      const done = await working
      disk.restore()
      const seen = await listed()
      const where = `${commands[done]} at moment ${moment}: ${seen}`
      const [before, after] = [namesOf(STEPS[done - 1]?.[1]), namesOf(STEPS[done]?.[1])]
      if (done < STEPS.length) {
        const known = [...before, ...after]
        const kept = before.filter((name) => after.includes(name))
        assert.deepEqual(
          namesOf(seen).filter((name) => !known.includes(name)),
          [],
          where,
        )
        assert.deepEqual(
          kept.filter((name) => !namesOf(seen).includes(name)),
          [],
          where,
        )
      }
      for (const removal of REMOVALS) await here(removal)
      await here('rm two')
      await here('volume rm data')
      assert.equal(await listed(), '', where)
    }
  })
})

function namesOf(listed = ''): string[] {
  return listed.split(' ').filter((name) => name !== '')
}

async function setUp(t: TestContext) {
  const disk = powerDisk(t)
  const root = join(disk.dir, 'store')
  const here = (command: string) => drayHere(command.split(' '), { DRAY_ROOT: root })
  const ok = async (command: string) => {
    const { code, stdout, stderr } = await here(command)
    assert.equal(code, 0, `${command}: ${stderr}`)
    return stdout.trim()
  }
  const lines = async (command: string) => (await ok(command)).split('\n').sort()
  await ok(`import ${makeBusyboxTree(join(tempDir(t), 'tree'))} app:1`)
  await ok('create --name none app:1 true') // which unpacks it
  await ok('rm none')
  return {
    ...{ disk, root, here, ok },
    async listed() {
      const names = [
        ...(await lines('ps -a --format {{.Names}}')),
        ...(await lines('volume ls -q')),
        ...(await lines('network ls --format {{.Name}}')),
      ]
      return names.filter((name) => !['', 'bridge', 'host', 'none'].includes(name)).join(' ')
    },
  }
}
