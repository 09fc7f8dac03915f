/** What the program tells of itself, and where it is called. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { COMMANDS } from '#cli/commands/index.ts'
import { dray, LAUNCHER } from '../support/dray.ts'
import { drayHere } from '../support/dray-here.ts'
import { smallImage, tarOf, writeLayout } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'

describe('dray', () => {
  it('prints its version, and help for every command', async () => {
    assert.match((await dray(['--version'])).stdout, /^dray [0-9]+\.[0-9]+\.[0-9]+\n$/)
    const { stdout } = await drayHere(['--help'])
    for (const command of Object.keys(COMMANDS).filter((name) => name !== 'ended')) {
      assert.match(stdout, new RegExp(`^ {2}${command}\\b`, 'm'))
      const help = await drayHere([command, '--help'])
      assert.equal(help.code, 0)
      assert.match(help.stdout, new RegExp(`^Usage: dray ${command}`))
    }
  })

  it('prints single facts of its version', async () => {
    const { stdout } = await drayHere(['version', '--format', 'json'])
    const { Client, Server } = JSON.parse(stdout)
    assert.deepEqual(Client, Server)
    const asked = await drayHere(['version', '-f', '{{.Server.Version}} {{.Client.Os}}'])
    assert.equal(asked.stdout, `${Client.Version} linux\n`)
    const { stdout: text } = await drayHere(['version'])
    assert.match(text, new RegExp(`^Version: +${RegExp.escape(Client.Version)}\\n`))
  })

  it('says no default that is nothing, and others in the same words for all commands', async () => {
    for (const verb of ['network create', 'image ls', 'login', 'completion', 'registry can']) {
      const { stdout } = await drayHere([...verb.split(' '), '--help'])
      assert.doesNotMatch(stdout, /default: \[|(?:default|choices): "/, verb)
    }
  })

  it('says which variables of the environment stand for options', async () => {
    const { stdout } = await drayHere(['create', '--help'])
    for (const [option, variable] of [
      ['root', 'DRAY_ROOT'],
      ['layer-store', 'DRAY_LAYER_STORE'],
      ['layer-verity', 'DRAY_LAYER_VERITY'],
      ['cgroup-manager', 'DRAY_CGROUP_MANAGER'],
    ]) {
      assert.match(stdout, new RegExp(`^ {2}--${option} .*; environment: ${variable}\\)`, 'm'))
    }
  })

  for (const verb of [
    'images --root here',
    'copy store:some oci:here:1',
    'serve --listen [::1]:0',
  ]) {
    it(`says that the directory of a shell is gone to dray ${verb.split(' ')[0]}`, async (t) => {
      const gone = join(tempDir(t), 'gone')
      mkdirSync(gone)
      const root = join(tempDir(t), 'root')
      await drayHere(['import', '--root', root, tempDir(t), 'some'])
      const there = `cd ${gone}; rmdir ${gone}; DRAY_ROOT=${root} exec timeout -s KILL 60 ${LAUNCHER} ${verb}`
      const { code, stderr } = await promisify(execFile)('sh', ['-c', there]).then(
        () => assert.fail('it succeeded'),
        (error: { code: number; stderr: string }) => error,
      )
      assert.match(stderr, /^dray: the directory that this was called in is gone: cd into/m)
      assert.doesNotMatch(stderr, /\n {4}at /)
      assert.equal(code, 1)
    })
  }

  it('prints where an error comes from when asked', async (t) => {
    const root = tempDir(t)
    for (const words of [
      ['--root', root, '--debug', 'push', 'x'],
      ['push', '--debug', '--root', root, 'x'],
    ]) {
      const { stderr } = await dray(words)
      assert.match(stderr, /IMAGE_UNKNOWN\n[\s\S]*\n {4}at /)
    }
  })

  it('says nothing on standard output when an archive goes there', async (t) => {
    const dir = tempDir(t)
    writeLayout(join(dir, 'layout'), smallImage([tarOf({ a: 'b' })]))
    const places = [`oci:${join(dir, 'layout')}`, 'docker-archive:/dev/stdout']
    const words = ['copy', '--root', join(dir, 'root'), ...places]
    // Node makes no pipes for its children but sockets, which cannot be opened by a name.
    const piped = ['-c', '"$0" "$@" | cat', LAUNCHER, ...words]
    const { stdout, stderr } = await promisify(execFile)('/bin/sh', piped)
    assert.ok(stdout.endsWith('\0'))
    assert.match(stderr, /copied in/)
  })

  it('says which directory it cannot use', async (t) => {
    const file = join(tempDir(t), 'file')
    writeFileSync(file, '')
    const { code, stderr } = await dray(['images', '--root', file])
    assert.equal(code, 1)
    assert.match(stderr, /cannot use .*file.*--root/)
  })

  it('tells what this host can do', async (t) => {
    const root = join(tempDir(t), 'root')
    const { code, stdout } = await dray(['info', '--root', root, '--format', 'json'])
    assert.equal(code, 0)
    const facts = JSON.parse(stdout)
    assert.equal(facts.store.root, root)
    assert.match(facts.store.layerStore, /^(?:dir|erofs)$/)
    assert.notEqual(facts.store.reason, '')
    assert.match(facts.node, /^v(?:2[4-9]|[3-9][0-9])\./)
    assert.ok(Array.isArray(facts.host.missing.run))
    assert.equal(existsSync(root), false)
    assert.equal(facts.DockerRootDir, root)
    const template = '{{.host.kernel}} {{.KernelVersion}} {{.OSType}}'
    const some = await drayHere(['system', 'info', '--root', root, '--format', template])
    assert.equal(some.stdout, `${facts.host.kernel} ${facts.host.kernel} linux\n`)
    const text = (await dray(['info', '--root', root])).stdout
    assert.match(text, /^dray run +/m)
    assert.match(text, /^layer verity +(?:possible|no): ./m)
  })
})
