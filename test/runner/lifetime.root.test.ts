import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { cleanUpContainers, runContainer } from '#runner/index.ts'
import { containersDir } from '#runner/layout.ts'
import { describeTree } from '../support/tree.ts'
import {
  containerIds,
  exitOf,
  firstProgram,
  leftovers,
  outputHas,
  playground,
  runArguments,
  runIn,
  spawnRun,
  until,
} from './support/run.ts'

const HANDLER = 'trap "echo got; exit 7" TERM INT HUP USR1; echo ready; while :; do sleep 0.1; done'

describe('a signal to the owner', () => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1'] as const) {
    it(`reaches the command: ${signal}`, async (t) => {
      const place = playground(t)
      const child = spawnRun(place, ['sh', '-c', HANDLER])
      const exit = exitOf(child)
      await outputHas(child, 'ready')
      child.kill(signal)
      assert.equal(await exit, 7)
      assert.deepEqual(leftovers(place), [])
    })
  }

  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    it(`ends a command that doesn’t handle it: ${signal}`, async (t) => {
      const place = playground(t)
      const child = spawnRun(place, ['sh', '-c', 'echo ready; exec sleep 1000'])
      const exit = exitOf(child)
      await outputHas(child, 'ready')
      // The shell handles SIGINT; sleep doesn't.
      await until('sleep runs', () => firstProgram(place) === 'sleep')
      child.kill(signal)
      assert.equal(await exit, code)
      assert.deepEqual(leftovers(place), [])
    })
  }

  it('that the command ignores changes nothing', async (t) => {
    const place = playground(t)
    const child = spawnRun(place, ['sh', '-c', 'trap "" TERM; echo ready; sleep 1; exit 5'])
    const exit = exitOf(child)
    await outputHas(child, 'ready')
    child.kill('SIGTERM')
    assert.equal(await exit, 5)
  })

  it('at any moment of the start leaves nothing', async (t) => {
    const place = playground(t)
    for (const delayMs of [150, 200, 230, 260, 290, 330]) {
      const child = spawnRun(place, ['sleep', '1000'])
      const exit = exitOf(child)
      await delay(delayMs)
      child.kill('SIGTERM')
      // Before the program listens, the signal just ends it.
      assert.ok(['SIGTERM', 143].includes(await exit))
    }
    await cleanUpContainers(place.root)
    assert.deepEqual(leftovers(place), [])
  })
})

describe('a signal to the owner that comes before the program runs', () => {
  it('is not lost on the runtime, which has the same process', async (t) => {
    const place = playground(t)
    for (let round = 0; round < 5; round++) {
      const child = spawnRun(place, ['sleep', '1000'])
      const exit = exitOf(child)
      await until('there is a first process', () => firstProgram(place) !== undefined)
      child.kill('SIGINT')
      assert.equal(await exit, 130)
    }
    assert.deepEqual(leftovers(place), [])
  })
})

describe('an abort', () => {
  it('ends the container, by force after the time to stop', async (t) => {
    const place = playground(t)
    const controller = new AbortController()
    const running = runContainer(
      place.rootfs,
      // What a shell ignores, the program that takes its place ignores too.
      { command: ['sh', '-c', 'trap "" TERM; exec sleep 1000'] },
      {
        root: place.root,
        hostEnv: process.env,
        stdio: ['ignore', 2, 2],
        signal: controller.signal,
        stopTimeoutMs: 300,
      },
    )
    await until('it runs', () => firstProgram(place) === 'sleep')
    controller.abort()
    assert.equal((await running).exitCode, 137)
    assert.deepEqual(leftovers(place), [])
  })
})

describe('an owner that was killed', () => {
  it('leaves a container, which the next clean-up removes whole', async (t) => {
    const place = playground(t)
    const before = describeTree(place.layer)
    const child = spawnRun(place, ['sh', '-c', 'touch /x; echo ready; sleep 1000'])
    const exit = exitOf(child)
    await outputHas(child, 'ready')
    const ids = containerIds(place)
    child.kill('SIGKILL')
    assert.equal(await exit, 'SIGKILL')
    assert.ok(firstProgram(place))
    assert.ok(leftovers(place, ids).length > 5)

    const reports = await Promise.all([
      cleanUpContainers(place.root),
      cleanUpContainers(place.root),
    ])
    assert.deepEqual(
      reports.flatMap((report) => report.removed),
      ids,
    )
    assert.deepEqual(
      reports.flatMap((report) => report.failed),
      [],
    )
    // The runtime that waited for the container ends by itself.
    await until('nothing is left', () => leftovers(place, ids).length === 0)
    assert.deepEqual(describeTree(place.layer), before)
  })

  it('does not take a living owner’s container with it', async (t) => {
    const place = playground(t)
    const dead = spawnRun(place, ['sh', '-c', 'echo ready; sleep 1000'])
    const exit = exitOf(dead)
    await outputHas(dead, 'ready')
    const [deadId = ''] = containerIds(place)
    dead.kill('SIGKILL')
    await exit
    const living = spawnRun(place, ['sh', '-c', HANDLER])
    const livingExit = exitOf(living)
    await outputHas(living, 'ready')
    assert.deepEqual((await cleanUpContainers(place.root)).removed, [deadId])
    living.kill('SIGTERM')
    assert.equal(await livingExit, 7)
  })

  it('whose runtime was killed too is cleaned up after as well', async (t) => {
    const place = playground(t)
    const child = spawnRun(place, ['sh', '-c', 'echo ready; sleep 1000'])
    const exit = exitOf(child)
    await outputHas(child, 'ready')
    const ids = containerIds(place)
    child.kill('SIGKILL')
    await exit
    for (const line of leftovers(place).filter((text) => text.startsWith('process '))) {
      process.kill(Number(line.split(' ')[1]), 'SIGKILL')
    }
    await cleanUpContainers(place.root)
    await until('nothing is left', () => leftovers(place, ids).length === 0)
  })

  it('at any moment of the start leaves what can be removed', async (t) => {
    const place = playground(t)
    for (const delayMs of [140, 180, 210, 240, 270, 300]) {
      const child = spawnRun(place, ['sleep', '1000'])
      const exit = exitOf(child)
      await delay(delayMs)
      child.kill('SIGKILL')
      await exit
    }
    const ids = existsSync(containersDir(place.root)) ? containerIds(place) : []
    assert.deepEqual((await cleanUpContainers(place.root)).failed, [])
    await until('nothing is left', () => leftovers(place, ids).length === 0)
    await delay(500)
    assert.deepEqual(leftovers(place, ids), [])
  })
})

describe('what the kernel still uses', () => {
  it('is unmounted, and never deleted through', async (t) => {
    const place = playground(t)
    const child = spawnRun(place, ['sh', '-c', 'echo ready; sleep 1000'])
    const exit = exitOf(child)
    await outputHas(child, 'ready')
    const merged = join(containersDir(place.root), containerIds(place)[0] ?? '', 'merged')
    const user = spawn('sleep', ['1000'], { cwd: merged })
    place.children.push(user)
    child.kill('SIGTERM')
    assert.equal(await exit, 143)
    assert.deepEqual(leftovers(place), [])
    assert.ok(existsSync(join(place.layer, 'bin/busybox')))
  })
})

describe('a terminal', () => {
  // script(1) gives its command a terminal and ends with its exit code.
  const onTerminal = (place: Parameters<typeof runArguments>[0], script: string) => {
    const options = { command: ['sh', '-c', script], tty: true, interactive: true }
    const words = [process.execPath, ...runArguments(place, options)]
    const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
    return spawn('script', ['-qec', quoted, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] })
  }

  it('is one of the container’s own, with input, output and exit code', async (t) => {
    const place = playground(t)
    const child = onTerminal(place, 'tty; echo $TERM; read line; echo "read <$line>"; exit 9')
    place.children.push(child)
    const exit = exitOf(child)
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += String(chunk)
    })
    await until('it asks', () => output.includes('xterm'))
    child.stdin.write('hello\n')
    assert.equal(await exit, 9)
    assert.match(output, /\/dev\/pts\/0/)
    assert.match(output, /read <hello>/)
    assert.deepEqual(leftovers(place), [])
  })

  it('sends Ctrl-C inside', async (t) => {
    const place = playground(t)
    const child = onTerminal(
      place,
      'trap "echo got; exit 7" INT; echo ready; while :; do sleep 0.1; done',
    )
    place.children.push(child)
    const exit = exitOf(child)
    await outputHas(child, 'ready')
    child.stdin.write('\x03')
    assert.equal(await exit, 7)
    assert.deepEqual(leftovers(place), [])
  })
})

describe('standard input', () => {
  it('is handed on when asked for', async (t) => {
    const place = playground(t)
    const child = spawnRun(place, ['cat'], { interactive: true })
    const exit = exitOf(child)
    child.stdin?.end('through\n')
    await outputHas(child, 'through')
    assert.equal(await exit, 0)
  })

  it('in large amounts passes whole', async (t) => {
    const { stdout } = await runIn(playground(t), 'seq 200000 | wc -c')
    assert.equal(stdout, '1288895\n')
  })
})
