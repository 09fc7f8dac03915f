import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { containerStore } from '../support/container-store.ts'

const store = containerStore()
const { ok } = store

const FILE = `/var/run/cdi/dray-test-${process.pid}.json`
const KIND = `dray.test/p${process.pid}`

describe('a device of a vendor', () => {
  before(() => {
    const tool = join(store.root, 'tool')
    writeFileSync(tool, '#!/bin/sh\necho from the vendor\n', { mode: 0o755 })
    mkdirSync('/var/run/cdi', { recursive: true })
    const edits = {
      env: ['VENDOR=here'],
      mounts: [{ hostPath: tool, containerPath: '/bin/tool', options: ['ro', 'nosuid', 'rbind'] }],
      additionalGids: [77],
    }
    const hook = {
      hookName: 'createRuntime',
      path: '/bin/sh',
      args: ['sh', '-c', `echo ran >${tool}.hook`],
    }
    const devices = [
      {
        name: 'null',
        containerEdits: {
          deviceNodes: [{ path: '/dev/vendor0', hostPath: '/dev/null', permissions: 'rw' }],
          hooks: [hook],
        },
      },
      { name: 'tools' },
    ]
    writeFileSync(
      FILE,
      JSON.stringify({ cdiVersion: '0.7.0', kind: KIND, devices, containerEdits: edits }),
    )
  })

  after(() => rmSync(FILE, { force: true }))

  it('brings its node, variables, files, groups and hooks', async () => {
    const script =
      'echo x >/dev/vendor0; echo $VENDOR; tool; id -G; grep -c " /bin/tool .*nosuid" /proc/mounts; touch /bin/tool'
    const args = ['--device', `${KIND}=null`, '-e', 'VENDOR=mine', 'busybox:1', 'sh', '-c', script]
    const { stdout, stderr } = await store.dray('run', '--rm', ...args)
    assert.equal(stdout, 'here\nfrom the vendor\n0 77\n1\n')
    assert.match(stderr, /Read-only/)
    const hook = await ok(
      'run',
      '--rm',
      '-v',
      `${store.root}:/store`,
      'busybox:1',
      'cat',
      '/store/tool.hook',
    )
    assert.equal(hook, 'ran')
  })

  it('may bring the command, and is there again at every start', async () => {
    await ok('create', '--name', 'tools', '--device', `${KIND}=tools`, 'busybox:1', 'tool')
    assert.equal(await ok('start', '-a', 'tools'), 'from the vendor')
    assert.equal(await ok('start', '-a', 'tools'), 'from the vendor')
    await ok('rm', 'tools')
  })

  it('works with user ids of its own', async () => {
    const args = [
      '--userns',
      'auto',
      '--device',
      `${KIND}=null`,
      'busybox:1',
      'sh',
      '-c',
      'echo x >/dev/vendor0; tool',
    ]
    assert.equal(await ok('run', '--rm', ...args), 'from the vendor')
  })

  it('that nobody knows ends with what there is', async () => {
    const { code, stderr } = await store.dray(
      'run',
      '--rm',
      '--device',
      `${KIND}=gone`,
      'busybox:1',
    )
    assert.equal(code, 125)
    assert.match(stderr, new RegExp(`${KIND}=null, ${KIND}=tools`))
    assert.deepEqual(store.leftovers(), [])
  })
})
