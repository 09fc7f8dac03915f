import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { containerStore } from '../support/container-store.ts'

const store = containerStore()
const { ok } = store

let here = ''
const at = (path: string) => join(here, path)
const inside = async (script: string) => await ok('exec', 'box', 'sh', '-c', script)

const prepare = async () => {
  here = mkdtempSync(join(tmpdir(), 'dray-test-'))
  mkdirSync(at('site/sub'), { recursive: true })
  writeFileSync(at('site/sub/page'), 'page')
  writeFileSync(at('file'), 'file', { mode: 0o640 })
  symlinkSync('file', at('link'))
  const script =
    'mkdir /tree; echo one > /tree/a; ln -s a /tree/l; ln /tree/a /tree/h; chown 7:8 /tree/a; chmod 4711 /tree/a; ln -s /etc /out; sleep 1000'
  await ok(
    'run',
    '-d',
    '--network',
    'none',
    '--name',
    'box',
    '-v',
    'data:/data',
    'busybox:1',
    'sh',
    '-c',
    script,
  )
}

after(() => rmSync(here, { recursive: true, force: true }))

describe('dray cp, of a container that runs', () => {
  before(prepare)

  it('copies a file into a directory, under another name, and over another file', async () => {
    await ok('cp', at('file'), 'box:/tree')
    await ok('cp', at('file'), 'box:/tree/renamed')
    await ok('cp', at('site/sub/page'), 'box:/tree/renamed')
    assert.equal(
      await inside('cat /tree/file /tree/renamed; stat -c "%u:%g %a" /tree/file'),
      'filepage0:0 640',
    )
  })

  it('copies a directory into one that is there, as one that is not, or what is in it', async () => {
    await ok('cp', at('site'), 'box:/tree')
    await ok('cp', at('site'), 'box:/new')
    await ok('cp', `${at('site')}/.`, 'box:/tmp')
    assert.equal(
      await inside('cat /tree/site/sub/page /new/sub/page /tmp/sub/page'),
      'pagepagepage',
    )
    await ok('cp', 'box:/tree/site/.', at('back'))
    assert.equal(readFileSync(at('back/sub/page'), 'utf8'), 'page')
  })

  it('keeps modes and links, and owners with -a', async () => {
    await ok('cp', 'box:/tree', at('plain'))
    await ok('cp', '-a', 'box:/tree', at('kept'))
    assert.equal(statSync(at('plain/a')).uid, 0)
    const { uid, gid, mode, ino } = statSync(at('kept/a'))
    assert.deepEqual([uid, gid, mode & 0o7777], [7, 8, 0o4711])
    assert.equal(statSync(at('kept/h')).ino, ino)
    assert.equal(readlinkSync(at('kept/l')), 'a')
  })

  it('copies a link itself, or with -L what it leads to', async () => {
    await ok('cp', at('link'), 'box:/tree/copied')
    assert.equal(await inside('readlink /tree/copied'), 'file')
    await ok('cp', '-L', at('link'), 'box:/tree/followed')
    assert.equal(await inside('cat /tree/followed'), 'file')
  })

  it('reads and writes tars', async () => {
    const tar = execFileSync('tar', ['-C', here, '-c', 'site'])
    const child = store.start('cp', '-', 'box:/data')
    child.stdin?.end(tar)
    assert.deepEqual(await once(child, 'exit'), [0, null])
    assert.equal(await inside('cat /data/site/sub/page'), 'page')
    const out = store.start('cp', 'box:/data/site', '-')
    const list = spawn('tar', ['-t'], { stdio: [out.stdout, 'pipe', 'inherit'] })
    assert.equal((await list.stdout?.toArray())?.join(''), 'site/\nsite/sub/\nsite/sub/page\n')
  })

  it('refuses what docker refuses', async () => {
    for (const [from, to] of [
      [at('nosuch'), 'box:/tree'],
      ['box:/nosuch', here],
      [at('file'), 'box:/nosuch/'],
      [at('file'), 'box:/nosuch/name'],
      [at('site'), 'box:/tree/a'],
      ['box:/tree/a/', here],
      [at('file'), at('other')],
      ['box:/tree', 'box:/other'],
    ] as const) {
      assert.equal((await store.dray('cp', from, to)).code, 1, `${from} ${to}`)
    }
  })

  it('copies all of a container, without what the kernel shows in it', async () => {
    await ok('cp', 'box:/', at('whole'))
    assert.equal(readFileSync(at('whole/tree/a'), 'utf8'), 'one\n')
    for (const name of ['proc', 'sys', 'dev'])
      assert.deepEqual(readdirSync(at(`whole/${name}`)), [])
  })

  it('follows links of the container inside of it only', async () => {
    await inside(
      'ln -s / /tree/root; ln -s ../../../../../../../../tmp /tree/up; ln -s /proc/self/root /tree/magic',
    )
    for (const link of ['root', 'up']) await ok('cp', at('file'), `box:/tree/${link}/from-${link}`)
    assert.equal(await inside('cat /from-root /tmp/from-up'), 'filefile')
    assert.equal(existsSync('/from-root') || existsSync('/tmp/from-up'), false)
    assert.equal((await store.dray('cp', 'box:/tree/magic/etc', here)).code, 1)
  })
})

describe('a container that has ended', () => {
  before(() => ok('stop', 'box'))

  it('is copied from and into, its volumes too', async () => {
    await ok('cp', at('file'), 'box:/data/later')
    await ok('cp', 'box:/data/site', at('of-volume'))
    assert.equal(readFileSync(at('of-volume/sub/page'), 'utf8'), 'page')
    await ok('start', 'box')
    assert.equal(await inside('cat /data/later'), 'file')
    await ok('stop', 'box')
  })

  it('is exported without them', async () => {
    await ok('export', '-o', at('box.tar'), 'box')
    const names = execFileSync('tar', ['-tf', at('box.tar')], { encoding: 'utf8' }).split('\n')
    assert.ok(names.includes('tree/a') && names.includes('data/'))
    assert.equal(
      names.some((name) => name.startsWith('data/later')),
      false,
    )
  })
})

describe('dray commit', () => {
  it('makes an image of what changed, deletions included, and of how the container runs', async () => {
    const script = 'rm -r /home; mkdir /home; echo kept > /kept; rm /bin/yes'
    await ok(
      'run',
      '--network',
      'none',
      '--name',
      'work',
      '-e',
      'A=1',
      'busybox:1',
      'sh',
      '-c',
      script,
    )
    await ok(
      'commit',
      '-m',
      'work',
      '-c',
      'CMD ["cat", "/kept"]',
      '-c',
      'ENV B="two words"',
      'work',
      'worked:1',
    )
    await ok('rm', 'work')
    const run = (...args: string[]) => ok('run', '--rm', '--network', 'none', 'worked:1', ...args)
    assert.equal(await run(), 'kept')
    assert.equal(await run('sh', '-c', 'ls /home; ls /bin/yes; echo $A $B'), '1 two words')
  })

  it('pauses a container that runs, and lets it go on', async () => {
    await ok('start', 'box')
    await ok('commit', 'box', 'boxed:1')
    assert.equal(await store.inspect('box', '{{.State.Status}}'), 'running')
    const run = await store.dray('run', '--rm', '--network', 'none', 'boxed:1', 'cat', '/tree/a')
    assert.deepEqual([run.code, run.stdout], [0, 'one\n'])
  })
})
