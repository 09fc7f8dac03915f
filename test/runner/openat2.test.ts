import { closeSync, constants, mkdirSync, openSync, realpathSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Worker } from 'node:worker_threads'
import { O_PATH, openat2, RESOLVE } from '#runner/sys.ts'
import { tempDir } from '../support/temp-dir.ts'

/** Renames a directory to and fro until it is ended. */
const RENAMER = `
  const { renameSync } = require('node:fs')
  const { parentPort, workerData: [from, to] } = require('node:worker_threads')
  parentPort.postMessage('ready')
  for (;;) {
    renameSync(from, to)
    renameSync(to, from)
  }`

describe('openat2', () => {
  it('follows links upwards while others rename what they like', async (t) => {
    const dir = realpathSync(tempDir(t))
    const root = join(dir, 'root')
    const moved = join(dir, 'moved')
    for (const each of [root, join(root, 'inside'), moved]) mkdirSync(each)
    symlinkSync(`${'../'.repeat(30)}inside`, join(root, 'up'))
    const renamer = new Worker(RENAMER, { eval: true, workerData: [moved, `${moved}.2`] })
    const at = openSync(root, O_PATH | constants.O_DIRECTORY)
    try {
      await new Promise((resolve) => renamer.once('message', resolve))
      for (let times = 0; times < 5000; times++) {
        closeSync(openat2(at, 'up', O_PATH, RESOLVE.inRoot | RESOLVE.noMagiclinks))
      }
    } finally {
      closeSync(at)
      await renamer.terminate()
    }
  })
})
