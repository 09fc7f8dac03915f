/** The whole path with real clients and real images: pushed, pulled, run, on every kind of storage. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { debianImages } from '../support/debian-image.ts'
import { dray } from '../support/dray.ts'
import { mergedTree } from '../support/merged-tree.ts'
import { STORAGES } from '../support/storages.ts'
import { describeTree } from '../support/tree.ts'

function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 26,
  })
}

function topDigest(layout: string): string {
  return JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')).manifests[0].digest
}

/** Of the base's tar, as tar names them: enough to run what needs the C library alone, with devices and all kinds of links. */
const PART = [
  ...['./bin', './dev', './etc', './lib', './lib64', './usr/bin', './usr/lib64'],
  ...['libc.so.6', 'ld-linux*'].map((name) => `./usr/lib/x86_64-linux-gnu/${name}`),
]

for (const storage of STORAGES) {
  // What becomes of an image once its bytes are here, the same ones by digest, is no matter of where they come from. And what passes
  // through a storage are blobs, whatever image they are of.
  const itOnce = storage === STORAGES[0] ? it : () => undefined

  describe(`with ${storage.name}`, { timeout: 900_000 }, () => {
    let dir = ''
    let root = ''
    let host = ''
    let stop = async () => {}
    const images = debianImages()

    before(async () => {
      dir = mkdtempSync(join(tmpdir(), 'dray-e2e-'))
      root = join(dir, 'store')
      const registry = await storage.start(dir)
      host = registry.host
      stop = registry.stop
    })
    after(async () => {
      await dray(['network', 'prune', '--root', root])
      await dray(['network', 'prune', '--root', join(dir, 'other')])
      await stop()
      rmSync(dir, { recursive: true, force: true })
    })

    const ok = async (...args: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await dray(args)
      assert.equal(code, 0, `dray ${args.join(' ')}: ${stderr}`)
      return stdout
    }
    const inContainer = (image: string, script: string, ...options: readonly string[]) =>
      dray(['run', '--root', root, '--rm', ...options, image, 'sh', '-c', script])

    for (const name of ['base', 'app'] as const) {
      const itHere = name === 'base' ? it : itOnce
      itHere(
        `keeps the digest of ${name} from skopeo through dray to skopeo and podman`,
        async () => {
          const digest = topDigest(images[name])
          const image = `${host}/debian/${name}:12`
          const again = `${host}/again/${name}`
          const [from, to] = [`oci:${images[name]}:latest`, `oci:${dir}/${name}:x`]
          run('skopeo', 'copy', '-q', '--dest-tls-verify=false', from, `docker://${image}`)
          assert.equal((await ok('pull', '-q', '--root', root, image)).trim(), digest)
          assert.equal((await ok('push', '-q', '--root', root, image, again)).trim(), digest)
          run('skopeo', 'copy', '-q', '--src-tls-verify=false', `docker://${again}`, to)
          assert.equal(topDigest(join(dir, name)), digest)
          const graph = [`--root=${dir}/podman`, `--runroot=${dir}/podman-run`]
          run('podman', ...graph, 'pull', '-q', '--tls-verify=false', again)
          const seen = run('podman', ...graph, 'image', 'inspect', '--format', '{{.Digest}}', again)
          assert.equal(seen.trim(), digest)
        },
      )

      itOnce(`unpacks ${name} to the tree that umoci makes`, async (t) => {
        const bundle = join(dir, `umoci-${name}`)
        run('umoci', 'unpack', '--image', `${images[name]}:latest`, bundle)
        const merged = await mergedTree(t, root, `${host}/debian/${name}:12`)
        assert.deepEqual(describeTree(merged), describeTree(join(bundle, 'rootfs')))
      })
    }

    it('fetches nothing twice', async () => {
      assert.match(await ok('pull', '--root', root, `${host}/debian/base:12`), /up to date/)
      assert.match(
        await ok('push', '--root', root, `${host}/debian/base:12`),
        /layers already there/,
      )
    })

    itOnce('lists what was pulled', async () => {
      const list = (await ok('images', '--root', root, '--format', 'json'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      assert.deepEqual(
        list.map(({ name, digest, platforms }) => [name, digest, platforms]),
        [
          [`${host}/debian/app:12`, topDigest(images.app), ['linux/amd64']],
          [`${host}/debian/base:12`, topDigest(images.base), ['linux/amd64']],
        ],
      )
    })

    itOnce('runs what was pulled, compiler included', async () => {
      const release = await inContainer(`${host}/debian/base:12`, 'cat /etc/os-release')
      assert.match(release.stdout, /PRETTY_NAME="Debian GNU\/Linux 12/)
      const program = '#include <stdio.h>\\nint main(void){puts("compiled and run");return 3;}'
      const compiled = await inContainer(
        `${host}/debian/app:12`,
        `cd /tmp && printf '${program}' > a.c && gcc a.c && ./a.out`,
      )
      assert.deepEqual([compiled.stdout, compiled.code], ['compiled and run\n', 3])
      const node = await dray([
        'run',
        '--root',
        root,
        '--rm',
        `${host}/debian/app:12`,
        'node',
        '/srv/app/index.js',
      ])
      assert.deepEqual([node.stdout, node.code], ['hello\n', 0])
    })

    itOnce('makes one image of one root file system, from a tar and from a directory', async () => {
      const tree = join(dir, 'tree')
      mkdirSync(tree)
      run('tar', '-C', tree, '-xpf', images.tar, '--wildcards', ...PART)
      const cmd = [
        '--cmd',
        '["cat", "/etc/debian_version"]',
        '--env',
        'A=b c',
        '--workdir',
        '/srv',
        '--label',
        'k=v',
      ]
      const fromTree = await ok('import', '-q', '--root', root, ...cmd, tree, `${host}/made/tree:1`)
      assert.equal(
        await ok('import', '-q', '--root', root, ...cmd, tree, `${host}/made/tree:2`),
        fromTree,
      )
      await ok('import', '--root', root, ...cmd, images.tar, `${host}/made/tar:1`)
      for (const name of ['tree', 'tar']) {
        await ok('push', '--root', root, `${host}/made/${name}:1`)
        const inspected = JSON.parse(
          run(
            'skopeo',
            'inspect',
            '--tls-verify=false',
            '--config',
            `docker://${host}/made/${name}:1`,
          ),
        )
        assert.deepEqual(inspected.config, {
          Env: ['A=b c'],
          Cmd: ['cat', '/etc/debian_version'],
          WorkingDir: '/srv',
          Labels: { k: 'v' },
        })
        assert.match(await ok('run', '--root', root, '--rm', `${host}/made/${name}:1`), /^12\./)
      }
    })

    itOnce('pulls an image that it does not have before it runs it', async () => {
      const other = join(dir, 'other')
      const { code, stdout, stderr } = await dray([
        'run',
        '--root',
        other,
        '--rm',
        `${host}/made/tree:1`,
        'echo',
        'here',
      ])
      assert.deepEqual([stdout, code], ['here\n', 0], stderr)
    })

    itOnce('takes images from a docker-archive and from an OCI layout', async () => {
      const archive = join(dir, 'archive.tar')
      run(
        'skopeo',
        'copy',
        '-q',
        '--src-tls-verify=false',
        `docker://${host}/made/tree:1`,
        `docker-archive:${archive}:archived/base:1`,
      )
      await ok('push', '--root', root, `docker-archive:${archive}`, `${host}/from/archive:1`)
      assert.equal((await inContainer(`${host}/from/archive:1`, 'exit 7')).code, 7)
      const pushed = await ok(
        'push',
        '-q',
        '--root',
        root,
        `oci:${images.base}:latest`,
        `${host}/from/layout:1`,
      )
      assert.equal(pushed.trim(), topDigest(images.base))
    })

    itOnce('keeps containers apart and the layers as they were', async (t) => {
      const image = `${host}/debian/base:12`
      const merged = await mergedTree(t, root, image)
      const untouched = describeTree(merged)
      const results = await Promise.all(
        ['one', 'two'].map((word) =>
          inContainer(
            image,
            `echo ${word} > /root/word; rm -r /usr/share/zoneinfo; sleep 1; cat /root/word; ls /usr/share/zoneinfo`,
          ),
        ),
      )
      assert.deepEqual(
        results.map(({ stdout }) => stdout),
        ['one\n', 'two\n'],
      )
      assert.deepEqual(describeTree(merged), untouched)
    })

    itOnce(
      'isolates: its own process 1, host name, mounts and network; no mounting, no new namespaces',
      async () => {
        const image = `${host}/debian/base:12`
        const script = `
        [ "$(tr '\\0' ' ' < /proc/1/cmdline | head -c 5)" = 'sh -c' ] && echo pid 1
        [ "$(ls -d /proc/[0-9]* | wc -l)" -lt 6 ] && echo few processes
        hostname | grep -qxF '${run('hostname').trim()}' || echo own host name
        grep -q '${dir}/store/content' /proc/self/mounts || echo no mounts of the host
        tail -n +3 /proc/net/dev | grep -v lo: | grep -q . || echo loopback only
        mount -t tmpfs none /mnt 2>/dev/null || echo no mount
        unshare -U true 2>/dev/null || echo no unshare
      `
        const { stdout } = await inContainer(image, script, '--network', 'none')
        assert.equal(
          stdout,
          'pid 1\nfew processes\nown host name\nno mounts of the host\nloopback only\nno mount\nno unshare\n',
        )
      },
    )

    itOnce('bites: memory and process limits', async () => {
      const image = `${host}/debian/base:12`
      const hog = await inContainer(
        image,
        'perl -e \'$x = "a" x (200 << 20); print length $x\'',
        '--memory',
        '64m',
      )
      assert.notEqual(hog.code, 0)
      assert.equal(hog.stdout, '')
      const forks = await inContainer(
        image,
        'for i in $(seq 40); do sleep 5 & done; wait',
        '--pids-limit',
        '20',
      )
      assert.match(forks.stderr, /[Ff]ork/)
    })

    it('leaves nothing behind', () => {
      assert.ok(!readFileSync('/proc/self/mounts', 'utf8').includes(`${root}/containers`))
      assert.throws(() => statSync(join(root, 'containers', 'x')), { code: 'ENOENT' })
      assert.equal(run('find', root, '-path', '*/staging/*').trim(), '')
      assert.equal(run('find', root, '-path', '*/ingest/*').trim(), '')
      assert.equal(run('find', root, '-path', '*/containers/*').trim(), '')
    })
  })
}
