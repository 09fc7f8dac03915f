import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { peakMemory } from '#bench/support/peak-memory.ts'
import { digestOf } from '#oci/digest.ts'
import { serveImage } from '../support/blob-server.ts'
import { dray, LAUNCHER } from '../support/dray.ts'
import { smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'

describe('dray pull of several images', () => {
  it('pulls each, says which are not to be had, and fails for them in the end', async (t) => {
    const image = smallImage([tarOf({ hello: 'there' })])
    const { host } = await serveImage(t, image)
    const root = join(tempDir(t), 'root')
    const missing = digestOf('missing')
    const names = [`${host}/team/a:1`, `${host}/team/b@${missing}`, `${host}/team/c:1`]
    const options = ['--root', root, '--platform', 'linux/amd64', '--progress', 'none']
    const { code, stdout, stderr } = await dray(['pull', '--no-unpack', ...options, ...names])
    assert.equal(code, 1)
    const digest = image.manifest.digest
    const [first, second] = stdout.split('\n')
    assert.match(first ?? '', new RegExp(`^${names[0]}  ${digest}  \\d+B fetched in `))
    assert.equal(second, `${names[2]}  ${digest}  up to date`)
    assert.equal(stderr, `dray: ${host} has no team/b, or no ${missing} in it\n`)
  })
})

describe('dray pull of a layer that is much larger than what is needed of it at once', () => {
  const LARGE = 256 * 1024 * 1024
  const MEMORY = 300 * 1024 * 1024

  it('takes less than 300 MiB of memory for all', async (t) => {
    const { host } = await serveImage(t, smallImage([tarOf({ zeros: Buffer.alloc(LARGE) })]))
    const options = ['--root', join(tempDir(t), 'root'), '--platform', 'linux/amd64', '-q']
    const child = spawn(LAUNCHER, ['pull', ...options, `${host}/app:1`], { stdio: 'ignore' })
    let peak = 0
    const looking = setInterval(() => {
      peak = Math.max(peak, peakMemory(child.pid ?? 0))
    }, 20)
    const [code] = await once(child, 'exit')
    clearInterval(looking)
    assert.equal(code, 0)
    assert.ok(peak > 0 && peak < MEMORY, `${peak} bytes`)
  })
})

describe('dray pull where few files may be open', () => {
  it('says to raise the limit, and goes on from there when it was', async (t) => {
    const tars = Array.from({ length: 24 }, (_, at) => tarOf({ [`file-${at}`]: 'of a layer' }))
    const { host } = await serveImage(t, smallImage(tars))
    const root = join(tempDir(t), 'root')
    const args = ['--root', root, '--platform', 'linux/amd64', '-q', `${host}/app:1`]
    const limited = (limit: number) =>
      promisify(execFile)('/bin/sh', [
        '-c',
        `ulimit -n ${limit}; exec "$0" pull "$@"`,
        LAUNCHER,
        ...args,
      ])
    await assert.rejects(limited(64), {
      code: 1,
      stderr:
        'dray: too many files are open at once: raise the limit (ulimit -n), or do less at once\n',
    })
    await limited(1024)
  })
})
