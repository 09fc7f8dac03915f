import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { isStillProgram } from '#runner/processes.ts'
import { untilProgramRuns } from '#runner/runtime.ts'

/** A process with the name of a runtime that becomes `sleep` when it is told to. */
async function runtimeThatExecs(t: TestContext, name: string) {
  const script = 'echo here; read line; exec sleep 1000'
  const child = spawn('bash', ['-c', script], {
    argv0: name,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return { pid: child.pid ?? 0, child, go: () => child.stdin.write('go\n') }
}

describe('a container’s first process', () => {
  for (const [name, path] of [
    ['runc', '/usr/sbin/runc'],
    ['/opt/bin/crun', '/opt/bin/crun'],
    ['runc', '/opt/a-wrapper'],
    ['my-runtime', '/opt/my-runtime'],
  ] as const) {
    it(`is waited for while it is ${name}, started by ${path}`, async (t) => {
      const { pid, go } = await runtimeThatExecs(t, name)
      let isOver = false
      const over = untilProgramRuns(pid, path).then(() => {
        isOver = true
      })
      await delay(50)
      assert.equal(isOver, false)
      go()
      await over
    })
  }

  it('is not waited for when it is another program, or gone', async (t) => {
    const { pid, child } = await runtimeThatExecs(t, 'sh')
    assert.equal(isStillProgram(pid, ['sh']), true)
    assert.equal(isStillProgram(pid, ['runc', 'crun']), false)
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.equal(isStillProgram(pid, ['sh']), false)
  })
})
