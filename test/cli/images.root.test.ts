import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { containerStore } from '../support/container-store.ts'
import { LAUNCHER } from '../support/dray.ts'

const store = containerStore()
const { ok } = store
const kept = (pattern: string) => globSync(pattern, { cwd: store.root }).length

describe('images and containers', () => {
  it('are removed together by system prune, which says how much that gave', async () => {
    await ok('tag', 'busybox:1', 'pruned:1')
    await ok('create', '--name', 'spare', '--network', 'none', 'busybox:1', 'true')
    assert.match(await ok('inspect', '-f', '{{.Name}}', 'spare'), /^spare$/)
    assert.match(await ok('inspect', '-f', '{{index .RepoTags 1}}', 'busybox:1'), /pruned:1$/)
    assert.match(await ok('image', 'prune', '-f'), /^Total reclaimed space: 0B$/)
    await ok('save', '-o', `${store.root}/saved.tar`, 'busybox:1')
    const said = await ok('system', 'prune', '-af')
    assert.match(
      said,
      /Deleted Containers:\n[0-9a-f]{64}\n\nDeleted Images:\nuntagged: .*busybox:1\nuntagged: .*pruned:1\ndeleted: sha256:/,
    )
    assert.match(said, /Total reclaimed space: [\d.]+[kM]B$/)
    await ok('load', '-i', `${store.root}/saved.tar`)
  })
})

describe('an image on its way through standard output', () => {
  const sh = (line: string) =>
    spawnSync('sh', ['-c', line, LAUNCHER, store.root], { encoding: 'utf8' })

  it('is what goes to -, and what comes from it', () => {
    const { stdout, status } = sh(
      '"$0" save --root "$1" -o - busybox:1 | "$0" load --root "$1" -i -',
    )
    assert.deepEqual([stdout, status], ['Loaded image: docker.io/library/busybox:1\n', 0])
  })

  it('ends with an error when that is a file on a disk that is full', () => {
    const { stderr, status } = sh('"$0" save --root "$1" busybox:1 >/dev/full')
    assert.equal(status, 1)
    assert.match(stderr, /^dray: cannot write to standard output: ENOSPC.*\n$/)
  })
})

describe('an image without being named', () => {
  it('is run, made a container of, tagged, inspected and removed by its id', async () => {
    const id = await ok('inspect', '-f', '{{.ConfigDigest}}', 'busybox:1')
    const short = id.slice('sha256:'.length, 19)
    for (const each of [id, short]) {
      assert.equal(await ok('run', '--rm', '--network', 'none', each, 'echo', 'by id'), 'by id')
      assert.equal(await ok('inspect', '-f', '{{.ConfigDigest}}', each), id)
    }
    const container = await ok('create', '--network', 'none', short, 'true')
    await ok('rm', container)
    await ok('tag', short, 'named:1')
    assert.equal(await ok('rmi', 'named:1'), 'Untagged: docker.io/library/named:1')
    const pulled = await store.dray('run', '--rm', '--pull', 'always', id)
    assert.deepEqual([pulled.code, /an id/.test(pulled.stderr)], [125, true])
    const other = await store.dray('run', '--rm', `sha256:${'0'.repeat(64)}`)
    assert.match(other.stderr, /no image .* in the local store/)
  })
})

describe('an image for another machine', () => {
  it('is run with a warning, and not as one for the platform that was asked for', async () => {
    await ok('import', '--platform', 'linux/s390x', `${store.root}/../tree`, 'foreign:1')
    const args = ['--rm', '--network', 'none', 'foreign:1', 'echo', 'in']
    const { code, stdout, stderr } = await store.dray('run', ...args)
    assert.deepEqual([code, stdout], [0, 'in\n'])
    assert.match(stderr, /^warning: foreign:1 is for linux\/s390x, this machine is linux\//)
    const refused = await store.dray('create', '--platform', 'linux/amd64', 'foreign:1', 'true')
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /foreign:1 is for linux\/s390x, not for linux\/amd64: leave out/)
    const asked = await store.dray('run', '--platform', 'linux/s390x', ...args)
    assert.deepEqual([asked.code, asked.stderr], [0, ''])
    await ok('rmi', 'foreign:1')
  })
})

describe('a store with damaged layers', () => {
  it('is found out by system check, and mended from its blobs when that is wanted', async () => {
    assert.equal(await ok('run', '--rm', '--network', 'none', 'busybox:1', 'echo', 'in'), 'in')
    assert.equal(await ok('system', 'check'), '')
    const [path = ''] = globSync('layers/*/*/{image,tree/bin/busybox}', { cwd: store.root })
    const bytes = readFileSync(join(store.root, path))
    writeFileSync(join(store.root, path), bytes.fill(0x20, 100, 200))
    const checked = await store.dray('system', 'check')
    assert.equal(checked.code, 1)
    assert.match(checked.stdout, /^layer sha256:[0-9a-f]{64}: .* differs from what/)
    assert.match(await ok('system', 'check', '--repair'), /; repaired$/)
    assert.equal(await ok('system', 'check'), '')
    assert.equal(await ok('run', '--rm', '--network', 'none', 'busybox:1', 'echo', 'in'), 'in')
  })
})

describe('an image that a container was made of', () => {
  it('is refused by rmi, which names the container, and lends its layers until that is gone', async () => {
    await ok('tag', 'busybox:1', 'other:1')
    await ok('create', '--name', 'job', '--network', 'none', 'busybox:1', 'echo', 'still here')
    assert.equal(await ok('rmi', 'other:1'), 'Untagged: docker.io/library/other:1')
    const refused = await store.dray('rmi', 'busybox:1')
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /container job.*--force/)
    assert.match(
      await ok('rmi', '-f', 'busybox:1', 'nosuch:1'),
      /^Untagged: docker\.io\/library\/busybox:1\nDeleted: sha256:[0-9a-f]{64}$/,
    )
    assert.deepEqual([kept('content/blobs/*/*'), kept('layers/*/*')], [0, 1])
    assert.equal(await ok('start', '-a', 'job'), 'still here')
    assert.match(
      await ok('system', 'df', '--format', '{{.Type}} {{.TotalCount}}'),
      /^Images 0\nContainers 1\n/,
    )
    const { Images, Containers, Volumes } = JSON.parse(
      await ok('system', 'df', '-v', '--format', 'json'),
    )
    assert.deepEqual([Images, Volumes, Containers.length], [[], [], 1])
    assert.deepEqual([Containers[0].Name, Containers[0].State], ['job', 'exited'])
    await ok('rm', 'job')
    assert.equal((await store.dray('rmi', 'busybox:1')).code, 1)
    assert.deepEqual([kept('layers/*/*'), kept('fixups/*/*'), kept('leases/*')], [0, 0, 0])
  })
})
