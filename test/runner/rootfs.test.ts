import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { candidatePaths, checkCommand, checkWorkdir } from '#runner/command.ts'
import { parseVolume } from '#runner/index.ts'
import { placeVolume, placeWorkdir, prepareMountPoints } from '#runner/preflight.ts'
import { makeDirectoryInRoot, readTextInRoot, resolveInRoot } from '#runner/rootfs-files.ts'
import { tempDir } from '../support/temp-dir.ts'

/** A root file system in `dir/root`; a name with a value is a file, a link (`-> target`) or a directory (`/`). */
function rootfs(t: TestContext, tree: Readonly<Record<string, string>>): string {
  const root = join(tempDir(t), 'root')
  mkdirSync(root)
  for (const [name, content] of Object.entries(tree)) {
    const path = join(root, name)
    mkdirSync(dirname(path), { recursive: true })
    if (content === '/') mkdirSync(path)
    else if (content.startsWith('-> ')) symlinkSync(content.slice(3), path)
    else writeFileSync(path, content)
  }
  writeFileSync(join(root, '..', 'secret'), 'of the host')
  return root
}

describe('a file of a root file system', () => {
  it('is read through links, which end inside', (t) => {
    const root = rootfs(t, {
      'etc/passwd': '-> /data/users',
      'data/users': 'users',
      up: '-> ../../../../../../data/users',
      out: '-> ../secret',
      absolute: '-> /etc/hostname',
    })
    assert.equal(readTextInRoot(root, '/etc/passwd', 100), 'users')
    assert.equal(readTextInRoot(root, 'up', 100), 'users')
    assert.equal(readTextInRoot(root, '../secret', 100), undefined)
    assert.equal(readTextInRoot(root, 'out', 100), undefined)
    assert.equal(readTextInRoot(root, 'absolute', 100), undefined)
  })

  it('is nothing when it is no regular file, or links run in a circle', (t) => {
    const root = rootfs(t, { dir: '/', a: '-> b', b: '-> a', file: 'x', deep: '-> file/x' })
    execFileSync('mkfifo', [join(root, 'fifo')])
    for (const path of ['dir', 'a', 'deep', 'fifo', 'nothing', 'dir/nothing']) {
      assert.equal(readTextInRoot(root, path, 100), undefined, path)
    }
  })

  it('is not read beyond a limit', (t) => {
    const root = rootfs(t, { file: '12345' })
    assert.equal(readTextInRoot(root, 'file', 5), '12345')
    assert.throws(() => readTextInRoot(root, 'file', 4), { code: 'RUN_FAILED' })
  })

  it('never is one of the host by a link to an open file', (t) => {
    const root = rootfs(t, { 'proc/self/root': '-> /', link: '-> /proc/self/root/etc/passwd' })
    assert.equal(readTextInRoot(root, 'link', 1 << 20), undefined)
  })
})

describe('a directory in a root file system', () => {
  it('is made with its parents, open to all, once', (t) => {
    const root = rootfs(t, {})
    assert.equal(makeDirectoryInRoot(root, '/a/b/c'), '/a/b/c')
    assert.equal(makeDirectoryInRoot(root, '/a/b/c'), '/a/b/c')
    assert.equal(statSync(join(root, 'a/b')).mode & 0o7777, 0o755)
    assert.equal(makeDirectoryInRoot(root, '/'), '/')
  })

  it('is made where links lead inside, never outside', (t) => {
    const root = rootfs(t, { link: '-> /real', real: '/', up: '-> ../../..', out: '-> ../away' })
    assert.equal(makeDirectoryInRoot(root, '/link/x'), '/real/x')
    assert.equal(makeDirectoryInRoot(root, '/up/y'), '/y')
    assert.throws(() => makeDirectoryInRoot(root, '/out/z'), { code: 'RUN_FAILED' })
    assert.equal(existsSync(join(root, '..', 'away')), false)
  })

  it('is not made over a file', (t) => {
    const root = rootfs(t, { file: 'x' })
    assert.throws(() => makeDirectoryInRoot(root, '/file/x'), { code: 'RUN_FAILED' })
  })
})

describe('mount points', () => {
  it('are made where an image lacks them', (t) => {
    const root = rootfs(t, {})
    prepareMountPoints(root)
    for (const name of ['proc', 'sys', 'dev', 'etc']) {
      assert.equal(lstatSync(join(root, name)).mode & 0o7777, 0o755)
    }
    assert.ok(lstatSync(join(root, 'etc/resolv.conf')).isFile())
  })

  for (const name of ['proc', 'sys', 'dev', 'etc']) {
    it(`are refused when /${name} is a link or a file`, (t) => {
      const link = rootfs(t, { [name]: '-> /tmp', tmp: '/' })
      assert.throws(() => prepareMountPoints(link), { code: 'RUN_FAILED' })
      const file = rootfs(t, { [name]: 'x' })
      assert.throws(() => prepareMountPoints(file), { code: 'RUN_FAILED' })
    })
  }

  it('replace links in /etc, and leave what they lead to alone', (t) => {
    const root = rootfs(t, {
      'etc/resolv.conf': '-> ../run/stub',
      'run/stub': 'kept',
      'etc/hosts': '-> /../../secret',
    })
    prepareMountPoints(root)
    assert.ok(lstatSync(join(root, 'etc/resolv.conf')).isFile())
    assert.ok(lstatSync(join(root, 'etc/hosts')).isFile())
    assert.equal(readTextInRoot(root, 'run/stub', 10), 'kept')
  })

  it('are refused when a file of /etc is a directory', (t) => {
    const root = rootfs(t, { 'etc/hostname': '/' })
    assert.throws(() => prepareMountPoints(root), { code: 'RUN_FAILED' })
  })
})

describe('the place of a volume', () => {
  const place = async (root: string, text: string) =>
    (await placeVolume(root, parseVolume(text), [])).containerPath

  it('is made, as a directory or as a file', async (t) => {
    const root = rootfs(t, {})
    assert.equal(await place(root, '/tmp:/a/b'), '/a/b')
    assert.ok(statSync(join(root, 'a/b')).isDirectory())
    assert.equal(await place(root, '/etc/passwd:/c/d'), '/c/d')
    assert.ok(statSync(join(root, 'c/d')).isFile())
  })

  it('is where links lead, inside', async (t) => {
    const root = rootfs(t, {
      a: '-> /b',
      b: '/',
      f: '-> /b/file',
      'b/file': 'x',
      up: '-> ../../..',
    })
    assert.equal(await place(root, '/tmp:/a/x'), '/b/x')
    assert.equal(await place(root, '/etc/passwd:/f'), '/b/file')
    assert.equal(await place(root, '/tmp:/up/tmp'), '/tmp')
  })

  it('is refused when links lead to / or into /proc', async (t) => {
    const root = rootfs(t, { a: '-> /', p: '-> /proc', 'proc/sys': '/' })
    await assert.rejects(place(root, '/tmp:/a'), { code: 'USAGE' })
    await assert.rejects(place(root, '/tmp:/p/sys'), { code: 'USAGE' })
  })
})

describe('the working directory', () => {
  it('is made, and free of links', (t) => {
    const root = rootfs(t, { link: '-> /srv/app', 'srv/app': '/' })
    assert.equal(placeWorkdir(root, '/', []), '/')
    assert.equal(placeWorkdir(root, '/new/dir', []), '/new/dir')
    assert.equal(placeWorkdir(root, '/link/x', []), '/srv/app/x')
    assert.equal(placeWorkdir(root, '/dev/shm/x', []), '/dev/shm/x')
  })

  const TRICKS: Readonly<Record<string, string>> = {
    direct: '/proc/self/fd/7',
    'through /dev': '/dev/fd/7',
    'through a link': '/link',
    'through a link to a directory': '/fds/7',
  }
  for (const [name, workdir] of Object.entries(TRICKS)) {
    it(`is refused when it leads to an open file, ${name}`, (t) => {
      const tree = { link: '-> /proc/self/fd/7', fds: '-> proc/self/fd', 'proc/self/fd/7': '/' }
      const root = rootfs(t, tree)
      assert.throws(() => placeWorkdir(root, workdir, []), { code: 'RUN_FAILED' })
    })
  }

  it('in a volume is found in the volume, and may not lead out of it', (t) => {
    const root = rootfs(t, { v: '/' })
    const host = tempDir(t)
    mkdirSync(join(host, 'sub'))
    symlinkSync('sub', join(host, 'inside'))
    symlinkSync('/proc/self/fd/7', join(host, 'trick'))
    symlinkSync('../../..', join(host, 'up'))
    const volumes = [parseVolume(`${host}:/v`)]
    for (const workdir of ['/v', '/v/sub', '/v/inside', '/v/absent/dir']) {
      assert.equal(placeWorkdir(root, workdir, volumes), workdir)
    }
    for (const workdir of ['/v/trick', '/v/up']) {
      assert.throws(() => placeWorkdir(root, workdir, volumes), { code: 'RUN_FAILED' })
    }
  })
})

describe('a command', () => {
  const tree = {
    'bin/elf': '\x7fELF...',
    'bin/script': '#!/bin/elf -x\n',
    'bin/lost': '#! /bin/nothing\n',
    'bin/text': 'echo no interpreter\n',
    'usr/dir': '/',
    'sbin/elf': 'never looked at',
    link: '-> /bin/elf',
    out: '-> ../../../../../../bin/sh',
  }
  const check = (t: TestContext, name: string, cwd = '/') => {
    const root = rootfs(t, tree)
    for (const file of ['elf', 'script', 'lost', 'text']) chmodSync(join(root, 'bin', file), 0o755)
    return checkCommand(root, { args: [name], env: ['PATH=/nowhere:/bin:/sbin'], cwd })
  }

  for (const name of ['elf', '/bin/elf', 'script', '/link', './bin/elf', '/proc/self/exe']) {
    it(`passes as ${name}`, (t) => check(t, name))
  }

  it('is looked for in the working directory when it has a slash', async (t) => {
    await check(t, './elf', '/bin')
    await assert.rejects(check(t, './elf', '/usr'), { code: 'COMMAND_NOT_FOUND' })
  })

  for (const name of ['nothing', '/nothing', '/bin/elf/x', '/out', 'lost', '']) {
    it(`is not found as ${JSON.stringify(name)}`, (t) =>
      assert.rejects(check(t, name), { code: /^COMMAND_NOT_(?:FOUND|EXECUTABLE)$/ }))
  }

  for (const [name, says] of [
    ['', /the command is empty/],
    ['--rm', /options go before the image/],
    ['nothing', /not in PATH$/],
    ['/nothing', /no such file/],
  ] as const) {
    it(`says why there is no ${JSON.stringify(name)}`, (t) =>
      assert.rejects(check(t, name), { code: 'COMMAND_NOT_FOUND', message: says }))
  }

  for (const name of ['/usr/dir', '/sbin/elf']) {
    it(`is not executable as ${name}`, (t) =>
      assert.rejects(check(t, name), { code: 'COMMAND_NOT_EXECUTABLE' }))
  }

  it('is looked for as a shell does', () => {
    assert.deepEqual(candidatePaths('/a/../b', '/w', '/bin'), ['/b'])
    assert.deepEqual(candidatePaths('a/b', '/w', '/bin'), ['/w/a/b'])
    assert.deepEqual(candidatePaths('a', '/w', '/bin::rel'), ['/bin/a', '/w/a', '/w/rel/a'])
  })

  it('has a directory to run in', (t) => {
    const root = rootfs(t, tree)
    for (const cwd of ['/', '/usr/dir', '/proc/1']) checkWorkdir(root, { args: ['x'], cwd })
    for (const cwd of ['/nope', '/bin/elf', '/link', '/out']) {
      const message = `cannot run "x": there is no directory ${cwd} in the container to run it in`
      const code = 'COMMAND_NOT_EXECUTABLE'
      assert.throws(() => checkWorkdir(root, { args: ['x'], cwd }), { code, message })
    }
  })

  it('resolves to where it is', (t) => {
    assert.equal(resolveInRoot(rootfs(t, tree), '/link'), '/bin/elf')
    assert.equal(resolveInRoot(rootfs(t, tree), '/out'), undefined)
  })
})
