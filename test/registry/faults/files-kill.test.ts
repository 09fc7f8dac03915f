import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { bundle } from '../../support/bundle.ts'
import { assertRecovers, servicesOver } from './audit.ts'
import { openFilesStorage } from './files-storage.ts'
import type { Scenario } from './pushes.ts'
import { SCENARIOS } from './scenarios.ts'

const AT_ONCE = 2

let dir: string
let program: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'dray-kill-'))
  program = await bundle(join(import.meta.dirname, 'killed-process.ts'), join(dir, 'program'))
})
after(() => rm(dir, { recursive: true }))

/** Runs the change in a process that is killed before its n-th step. Returns how many steps there were, if it lived. */
function runKilled(dataDir: string, scenario: number, n: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const args = [program, dataDir, String(scenario), String(n)]
    execFile(process.execPath, args, (error, stdout, stderr) => {
      if (error === null) resolve(Number(stdout))
      else if (error.signal === 'SIGKILL') resolve(undefined)
      else reject(new Error(stderr))
    })
  })
}

async function prepare(dataDir: string, { given }: Scenario): Promise<void> {
  const storage = await openFilesStorage(dataDir)
  for (const change of given) await change.run(servicesOver(storage))
  await storage.records.close()
}

async function assertNoUploads(dataDir: string): Promise<void> {
  for (const name of ['uploads', 'trash']) {
    assert.deepEqual(await readdir(join(dataDir, name)), [], name)
  }
}

async function assertAllRecovers(dataDir: string, { change }: Scenario): Promise<void> {
  const storage = await openFilesStorage(dataDir)
  try {
    await assertRecovers(storage, change)
    await assertNoUploads(dataDir)
  } finally {
    await storage.records.close()
  }
}

describe('a registry on files that is killed', { concurrency: AT_ONCE, timeout: 900_000 }, () => {
  for (const [number, scenario] of SCENARIOS.entries()) {
    it(`between any two steps of ${scenario.change.name} recovers, and a second try succeeds`, async () => {
      const given = join(dir, String(number))
      await mkdir(given)
      await prepare(given, scenario)
      let killed = 0
      for (let n = 1; ; n++) {
        const dataDir = `${given}-${n}`
        await cp(given, dataDir, { recursive: true })
        const steps = await runKilled(dataDir, number, n)
        await assertAllRecovers(dataDir, scenario).catch((cause) => {
          throw new Error(`before step ${n}: ${cause.message}`, { cause })
        })
        if (steps !== undefined) break
        killed++
      }
      assert.ok(killed > 0)
    })
  }
})
