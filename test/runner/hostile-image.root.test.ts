import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  openSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parseVolume } from '#runner/index.ts'
import { rootfsOf } from './support/busybox.ts'
import { leftovers, playground, runArguments, runIn } from './support/run.ts'

describe('an image that tricks', () => {
  for (const name of ['dev', 'proc', 'sys', 'etc']) {
    it(`is refused when its /${name} is a link`, async (t) => {
      const place = playground(t)
      const outside = join(place.dir, 'outside')
      mkdirSync(outside)
      if (existsSync(join(place.layer, name))) {
        renameSync(join(place.layer, name), join(place.layer, 'moved'))
      }
      symlinkSync(`../../../../../../../..${outside}`, join(place.layer, name))
      await assert.rejects(runIn(place, 'true'), { code: 'RUN_FAILED' })
      assert.deepEqual(leftovers(place), [])
      assert.equal(existsSync(join(outside, 'null')), false)
    })
  }

  it('with links for /etc/resolv.conf and /etc/hosts changes nothing outside', async (t) => {
    const place = playground(t)
    const outside = join(place.dir, 'outside')
    symlinkSync(outside, join(place.layer, 'etc/resolv.conf'))
    symlinkSync(`../../../../../../..${outside}`, join(place.layer, 'etc/hosts'))
    const { exitCode } = await runIn(place, 'echo x >/etc/hosts; echo x >/etc/resolv.conf')
    assert.equal(exitCode, 0)
    assert.equal(existsSync(outside), false)
  })

  for (const workdir of [
    '/proc/self/fd/7',
    '/proc/self/fd/8/../..',
    '/proc/1/root',
    '/dev/fd/7',
    '/trick',
  ]) {
    it(`cannot work in ${workdir}`, async (t) => {
      const place = playground(t)
      symlinkSync('/proc/self/fd/7', join(place.layer, 'trick'))
      const rootfs = rootfsOf([place.layer], { WorkingDir: workdir })
      await assert.rejects(runIn(place, 'pwd', { rootfs }), { code: 'RUN_FAILED' })
      assert.deepEqual(leftovers(place), [])
    })
  }

  it('makes its working directory inside, wherever links lead', async (t) => {
    const place = playground(t)
    symlinkSync('../../../../../../../..', join(place.layer, 'out'))
    const workdir = `/out${place.dir}/made`
    const { stdout } = await runIn(place, 'pwd', { workdir })
    assert.equal(stdout, `${place.dir}/made\n`)
    assert.equal(existsSync(join(place.dir, 'made')), false)
  })

  it('has volumes mounted inside, wherever links lead', async (t) => {
    const place = playground(t)
    const host = join(place.dir, 'host')
    mkdirSync(host)
    writeFileSync(join(host, 'file'), 'x')
    symlinkSync('../../../../../../../..', join(place.layer, 'out'))
    const volumes = [parseVolume(`${host}:/out${place.dir}/seen`)]
    const { stdout } = await runIn(place, `ls ${place.dir}/seen`, { volumes })
    assert.equal(stdout, 'file\n')
    assert.equal(existsSync(join(place.dir, 'seen')), false)
  })

  it('gives the user database of the image, never that of the host', async (t) => {
    const place = playground(t)
    const secret = join(place.dir, 'passwd')
    writeFileSync(secret, 'spy:x:1234:1234::/:/bin/sh\n')
    rmSync(join(place.layer, 'etc/passwd'))
    symlinkSync(secret, join(place.layer, 'etc/passwd'))
    await assert.rejects(runIn(place, 'id', { user: 'spy' }), { code: 'USER_UNKNOWN' })
  })

  it('gets no descriptor but its three, even when its owner inherited more', async (t) => {
    const place = playground(t)
    const secret = openSync('/etc/shadow', 'r')
    try {
      const runtime = join(place.dir, 'runtime')
      writeFileSync(runtime, '#!/bin/sh\nls -l /proc/$$/fd\n', { mode: 0o755 })
      for (const context of [{}, { runtime }]) {
        const args = runArguments(place, { command: ['ls', '-l', '/proc/1/fd'] }, context)
        // Node itself hides the ones that follow the first three without a gap.
        const extra = [...Array.from({ length: 60 }, () => 'ignore' as const), secret]
        const { stdout } = spawnSync(process.execPath, args, {
          stdio: ['ignore', 'pipe', 'inherit', ...extra],
          encoding: 'utf8',
        })
        assert.match(stdout, / 2 -> /)
        assert.doesNotMatch(stdout, /shadow/)
      }
    } finally {
      closeSync(secret)
    }
  })
})
