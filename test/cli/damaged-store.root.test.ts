/** What commands say of a store that is damaged, full, or on a disk that nobody may write to. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { LayerFormName } from '#puller/store/layers.ts'
import { makeBusyboxTree } from '../runner/support/busybox.ts'
import { dray, type Outcome } from '../support/dray.ts'
import { drayHere } from '../support/dray-here.ts'

/** A store with an image and a container of it that was never started. */
interface SmallStore {
  readonly root: string
  run(args: readonly string[]): Promise<Outcome>
  close(): Promise<void>
}

/** @param disk where it is, a directory that is there */
async function smallStore(disk: string, form: LayerFormName): Promise<SmallStore> {
  const root = join(disk, 'store')
  const env = { DRAY_ROOT: root, DRAY_LAYER_STORE: form }
  const run = (args: readonly string[]) =>
    ['run', 'exec', 'start'].includes(args[0] ?? '') ? dray(args, { env }) : drayHere(args, env)
  const tree = makeBusyboxTree(join(disk, 'tree'))
  const imported = await run(['import', tree, 'busybox:1', '--cmd', '["sh"]'])
  const created = await run(['create', '--name', 'kept', 'busybox:1', 'sleep', '60'])
  assert.deepEqual([imported.code, created.code], [0, 0], imported.stderr + created.stderr)
  return {
    root,
    run,
    async close() {
      await run(['rm', '-f', 'kept'])
      rmSync(disk, { recursive: true, force: true })
    },
  }
}

/** What of containers, half-made things, leases and mounts there is. */
function traces(root: string): string[] {
  const dirs = ['containers', 'staging', 'leases', 'mounts']
  const names = dirs.flatMap((dir) =>
    existsSync(join(root, dir)) ? readdirSync(join(root, dir)).map((name) => `${dir}/${name}`) : [],
  )
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  return [
    ...names.filter((name) => name !== 'mounts/lock'),
    ...mounts.filter((line) => line.includes(`${root}/`)),
  ]
}

/** Does something to every file that a pattern finds in a store. */
function toEach(root: string, pattern: string, work: (path: string) => void): void {
  const found = globSync(pattern, { cwd: root })
  assert.notEqual(found.length, 0)
  for (const path of found) work(join(root, path))
}

function breakFile(path: string): void {
  rmSync(path)
  symlinkSync('/proc/self/mem', path) // gives EIO when it is read
}

function turnIntoDirectory(path: string): void {
  rmSync(path)
  mkdirSync(path)
}

const RUN = ['run', '--rm', 'busybox:1', 'true']
const VERBS: Readonly<Record<string, readonly string[]>> = {
  run: RUN,
  create: ['create', '--name', 'other', 'busybox:1'],
  start: ['start', 'kept'],
  exec: ['exec', 'kept', 'true'],
  cp: ['cp', 'kept:/etc/passwd', '/dev/null'],
  diff: ['diff', 'kept'],
  commit: ['commit', 'kept', 'committed:1'],
  export: ['export', '-o', '/dev/null', 'kept'],
  save: ['save', '-o', '/dev/null', 'busybox:1'],
  push: ['push', 'busybox:1', '127.0.0.1:9/x:1'],
  history: ['history', 'busybox:1'],
  inspect: ['inspect', '--type', 'image', 'busybox:1'],
  images: ['images'],
  ps: ['ps', '-a'],
  df: ['system', 'df'],
  check: ['system', 'check'],
}

const DAMAGES: readonly {
  readonly what: string
  readonly form?: LayerFormName
  damage(root: string): void
  /** Verbs that can't do their work then; `check` always tells. */
  readonly fails: readonly (keyof typeof VERBS)[]
}[] = [
  {
    what: 'a layer whose files are gone',
    damage: (root) => toEach(root, 'layers/*/*/tree', (path) => rmSync(path, { recursive: true })),
    fails: ['run', 'start', 'cp', 'export'],
  },
  {
    what: 'a layer whose tar is gone',
    form: 'erofs',
    damage: (root) => toEach(root, 'layers/*/*/tar', (path) => rmSync(path)),
    fails: ['run', 'start', 'cp', 'export'],
  },
  {
    what: 'a layer whose image is gone',
    form: 'erofs',
    damage: (root) => toEach(root, 'layers/*/*/image', (path) => rmSync(path)),
    fails: ['run', 'start', 'cp', 'export'],
  },
  {
    what: 'a record that gives EIO',
    damage: (root) => toEach(root, 'layers/*/*/layer.json', breakFile),
    fails: ['run'],
  },
  {
    what: 'blobs that are gone',
    damage: (root) => toEach(root, 'content/blobs/*/*', (path) => rmSync(path)),
    fails: ['run', 'create', 'commit', 'save', 'push', 'history', 'inspect'],
  },
  {
    what: 'blobs that are cut',
    damage: (root) => toEach(root, 'content/blobs/*/*', (path) => truncateSync(path, 3)),
    fails: ['run', 'create', 'commit', 'save', 'push', 'history', 'inspect', 'df'],
  },
  {
    what: 'a list of images that gives EIO',
    damage: (root) => breakFile(join(root, 'content/index.json')),
    fails: ['run', 'create', 'commit', 'save', 'push', 'history', 'inspect', 'images', 'df'],
  },
  {
    what: 'blobs that give EIO',
    damage: (root) => toEach(root, 'content/blobs/*/*', breakFile),
    fails: ['run', 'create', 'commit', 'save', 'push', 'history', 'inspect', 'df'],
  },
  {
    what: 'directories in the place of blobs',
    damage: (root) => toEach(root, 'content/blobs/*/*', turnIntoDirectory),
    fails: ['run', 'create', 'commit', 'save', 'push', 'history', 'inspect', 'df'],
  },
]

const exitCodeOf = (verb: string) => (['run', 'exec'].includes(verb) ? 125 : 1)

function mustSay(verb: string, { code, stderr }: Outcome, advice: RegExp): void {
  assert.doesNotMatch(stderr, /unexpected error/, verb)
  assert.equal(code, exitCodeOf(verb), `${verb}: ${stderr}`)
  assert.match(stderr, advice, verb)
}

for (const form of ['dir', 'erofs'] as const) {
  describe(`a store that is damaged (${form})`, () => {
    let store: SmallStore
    let copy = ''
    before(async () => {
      store = await smallStore(mkdtempSync(join(tmpdir(), 'dray-test-')), form)
      copy = join(store.root, '../copy')
      for (const part of ['content', 'layers'])
        cpSync(join(store.root, part), join(copy, part), {
          recursive: true,
          verbatimSymlinks: true,
        })
    })
    after(() => store.close())
    for (const { what, damage, fails } of DAMAGES.filter((each) => (each.form ?? 'dir') === form)) {
      it(`is told of, and how to mend it: ${what}`, async () => {
        const before = traces(store.root)
        damage(store.root)
        for (const verb of [...fails, 'check']) {
          const outcome = await store.run(VERBS[verb] ?? [])
          mustSay(verb, outcome, verb === 'check' ? /^|/ : /system check --repair|pull the image/)
          assert.deepEqual(traces(store.root), before, verb)
        }
        for (const verb of ['images', 'ps'].filter((verb) => !fails.includes(verb)))
          assert.equal((await store.run(VERBS[verb] ?? [])).code, 0, verb)
        for (const part of ['content', 'layers']) {
          rmSync(join(store.root, part), { recursive: true })
          cpSync(join(copy, part), join(store.root, part), {
            recursive: true,
            verbatimSymlinks: true,
          })
        }
        assert.equal((await store.run(RUN)).code, 0)
      })
    }
  })
}

describe('a disk of a store', () => {
  let disk = ''
  let store: SmallStore
  const mount = (...options: readonly string[]) =>
    void execFileSync('mount', ['-o', options.join(), '-t', 'tmpfs', 'tmpfs', disk])
  before(async () => {
    disk = mkdtempSync(join(tmpdir(), 'dray-test-'))
    mount('size=64m')
    store = await smallStore(disk, 'dir')
  })
  after(async () => {
    await store.run(['rm', '-f', 'kept'])
    execFileSync('umount', [disk])
    rmSync(disk, { recursive: true })
  })

  it('that is read-only is told of, and what needs no writing works', async () => {
    const before = traces(store.root)
    mount('remount', 'ro')
    try {
      for (const verb of ['run', 'create', 'start', 'commit'])
        mustSay(verb, await store.run(VERBS[verb] ?? []), /read-only.*make it writable/)
      mustSay('tag', await store.run(['tag', 'busybox:1', 'x:1']), /read-only.*make it writable/)
      for (const verb of ['diff', 'save', 'history', 'inspect', 'images', 'ps', 'df']) {
        const { code, stderr } = await store.run(VERBS[verb] ?? [])
        assert.deepEqual([code, stderr], [0, ''], verb)
      }
    } finally {
      mount('remount', 'rw')
    }
    assert.deepEqual(traces(store.root), before)
  })

  it('that is full is told of, and how to make room', async () => {
    const before = traces(store.root)
    const filler = join(disk, 'filler')
    try {
      execFileSync('sh', ['-c', `cat /dev/zero >'${filler}' || true`], { stdio: 'ignore' })
      for (const verb of ['run', 'create', 'start', 'commit'])
        mustSay(verb, await store.run(VERBS[verb] ?? []), /no (room|space).*prune/)
      for (const verb of ['diff', 'history', 'inspect', 'images', 'ps', 'df'])
        assert.equal((await store.run(VERBS[verb] ?? [])).code, 0, verb)
      mustSay('tag', await store.run(['tag', 'busybox:1', 'x:1']), /no (room|space).*prune/)
      assert.deepEqual(traces(store.root), before)
      assert.deepEqual(globSync('content/index.json.*', { cwd: store.root }), [])
    } finally {
      rmSync(filler, { force: true })
    }
    assert.equal((await store.run(RUN)).code, 0)
  })
})
