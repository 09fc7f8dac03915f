/** What the filters of prune leave of each kind of thing. */
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { containerStore } from '../support/container-store.ts'
import { fillDisk, smallDisk } from '../support/small-disk.ts'

const store = containerStore()
const { ok } = store

const LABELS: Readonly<Record<string, readonly string[]>> = {
  web: ['--label', 'team=web'],
  kept: ['--label', 'team=web', '--label', 'keep=1'],
  bare: [],
}

/** What is pruned, one after the other. */
const STEPS: readonly (readonly [filters: readonly string[], gone: readonly string[]])[] = [
  [['label=team=db'], []],
  [['label!=keep', 'label!=team', 'label=team'], []],
  [['label!=keep', 'label=team'], ['web']],
  [['label!=keep'], ['bare']],
  [['label=team', 'label=keep'], ['kept']],
]

const NAMES = Object.keys(LABELS)
const left = (...gone: readonly string[]) => NAMES.filter((name) => !gone.includes(name)).sort()

interface Kind {
  make(name: string, labels: readonly string[]): Promise<unknown>
  /** The names there are. */
  list(): Promise<string>
  readonly prune: readonly string[]
  /** Whether things of it are chosen by date as well. */
  readonly hasUntil: boolean
}

const KINDS: Readonly<Record<string, Kind>> = {
  containers: {
    make: (name, labels) =>
      ok('create', '--network', 'none', '--name', name, ...labels, 'busybox:1', 'true'),
    list: () => ok('ps', '-a', '--format', '{{.Names}}'),
    prune: ['container', 'prune', '-f'],
    hasUntil: true,
  },
  networks: {
    make: (name, labels) => ok('network', 'create', ...labels, name),
    list: () => ok('network', 'ls', '-q'),
    prune: ['network', 'prune'],
    hasUntil: true,
  },
  volumes: {
    make: (name, labels) => ok('volume', 'create', ...labels, name),
    list: () => ok('volume', 'ls', '-q'),
    prune: ['volume', 'prune', '-af'],
    hasUntil: false,
  },
  images: {
    async make(name, labels) {
      process.env.SOURCE_DATE_EPOCH = '1700000000'
      await ok('import', join(store.root, '../tree'), `${name}:1`, ...labels, '-e', `NAME=${name}`)
      delete process.env.SOURCE_DATE_EPOCH
    },
    list: () => ok('images', '-f', 'reference=*:1', '--format', '{{.Repository}}'),
    prune: ['image', 'prune', '-af'],
    hasUntil: true,
  },
}

describe('prune', () => {
  for (const [kind, { make, list, prune, hasUntil }] of Object.entries(KINDS)) {
    it(`takes of ${kind} what passes its filters`, async () => {
      if (kind === 'images') await ok('create', '--name', 'user', 'busybox:1', 'true')
      for (const name of NAMES) await make(name, LABELS[name] ?? [])
      const names = async () =>
        (await list())
          .split('\n')
          .map((name) => name.split('/').at(-1) ?? '')
          .filter((name) => NAMES.includes(name))
          .sort()
      const old = kind === 'images' ? 'until=2023-01-01' : 'until=1h'
      if (hasUntil) await ok(...prune, '--filter', old)
      else {
        const { code, stderr } = await store.dray(...prune, '--filter', 'until=1h')
        assert.deepEqual([code, /no such filter "until=1h"/.test(stderr)], [1, true])
      }
      const gone: string[] = []
      for (const [filters, next] of STEPS) {
        assert.deepEqual(await names(), left(...gone))
        await ok(...prune, ...filters.flatMap((filter) => ['--filter', filter]))
        gone.push(...next)
      }
      assert.deepEqual(await names(), [])
      if (!hasUntil) return
      await make('web', [])
      await ok(...prune, '--filter', kind === 'images' ? 'until=2024-01-01' : 'until=0s')
      assert.deepEqual(await names(), [])
    })
  }

  it('takes the same filters of everything at once, and none that volumes lack', async () => {
    for (const kind of ['containers', 'networks'])
      for (const name of ['web', 'bare']) await KINDS[kind]?.make(name, LABELS[name] ?? [])
    await ok('volume', 'create', 'data')
    const said = await ok('system', 'prune', '-f', '--volumes', '--filter', 'label=team')
    assert.match(said, /^Deleted Containers:\n[0-9a-f]{64}\n\nDeleted Networks:\nweb\n\nTotal/)
    const { code, stderr } = await store.dray(
      ...['system', 'prune', '-f', '--volumes', '--filter', 'until=1h'],
    )
    assert.deepEqual([code, /leave out --volumes/.test(stderr)], [1, true])
    await ok('system', 'prune', '-f', '--filter', 'label!=team')
    assert.doesNotMatch(await ok('ps', '-a'), /bare/)
  })
})

describe('a disk without a free block or file', () => {
  it('is no reason to keep containers and volumes', async (t) => {
    const { dir } = smallDisk(t, '14m,nr_inodes=600')
    const root = ['--root', join(dir, 'store')]
    const here = (verb: string, ...words: readonly string[]) =>
      ok(...verb.split(' '), ...root, ...words)
    await here('import', join(store.root, '../tree'), 'busybox:1')
    await here('create', '--network', 'none', '--name', 'made', 'busybox:1', 'true')
    await here('volume create', 'lone')
    const running = ['--network', 'none', '--name', 'on', '-v', 'data:/data', '-v', '/made-up']
    await here('run', '-d', ...running, 'busybox:1', 'sleep', '1000')
    fillDisk(dir)
    const { stderr } = await store.dray('volume', 'create', ...root, 'more')
    assert.match(stderr, /ENOSPC.*system prune/)
    await here('volume rm', 'lone')
    await here('rm', '-fv', 'on')
    await here('rm', 'made')
    await here('volume rm', 'data')
    assert.equal(await here('ps', '-aq'), '')
    assert.equal(await here('volume ls', '-q'), '')
    const left = ['containers/*', 'volumes/.*', 'container-names/*']
    assert.deepEqual(globSync(left, { cwd: join(dir, 'store') }), [])
  })
})
