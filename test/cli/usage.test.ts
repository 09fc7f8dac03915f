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

interface Case {
  readonly args: readonly string[]
  readonly code: number
  /** What the one who typed it reads. */
  readonly says: RegExp
}

const CASES: readonly Case[] = [
  { args: ['pul', 'x'], code: 1, says: /unknown command 'pul'[\s\S]*pull/ },
  {
    args: ['manifest', 'inspect', 'x'],
    code: 1,
    says: /^dray: there is no dray manifest: dray remote manifest IMAGE/m,
  },
  { args: ['build', '.'], code: 1, says: /no dray build: buildah, .* dray load/ },
  { args: ['pull'], code: 1, says: /missing required argument 'image'/ },
  { args: ['pull', '--frob', 'x'], code: 1, says: /unknown option '--frob'/ },
  { args: ['pull', 'x', '--frob'], code: 1, says: /^dray: .*\n\(dray pull --help tells more\)$/m },
  {
    args: ['volume', 'ls', '--frob'],
    code: 1,
    says: /^dray: .*\n\(dray volume ls --help tells more\)$/m,
  },
  {
    args: ['pull', 'https://a.example/x'],
    code: 1,
    says: /an image's name has no scheme: leave https:\/\/ away/,
  },
  { args: ['pull', 'UPPER/Case'], code: 1, says: /lower case/ },
  { args: ['pull', 'a b'], code: 1, says: /invalid image reference "a b"/ },
  { args: ['pull', '127.0.0.1:1/x', 'a b'], code: 1, says: /^dray: invalid image reference "a b"/ },
  {
    args: ['pull', '--creds', 'me:secret', 'a.example/x', 'b.example/x'],
    code: 1,
    says: /one registry, not for a\.example, b\.example: pull from one at a time/,
  },
  { args: ['pull', '--platform', 'linux/arm64/v8/x', 'x'], code: 1, says: /os\/architecture/ },
  { args: ['pull', '--progress', 'loud', 'x'], code: 1, says: /auto, tty, plain, json, none/ },
  { args: ['pull', '--max-connections', '0', 'x'], code: 1, says: /from 1 to 9999/ },
  { args: ['pull', '--limit-rate', 'fast', 'x'], code: 1, says: /such as 500k or 20m/ },
  { args: ['pull', '--max-connections', 'a=0', 'x'], code: 1, says: /from 1 to 9999/ },
  { args: ['push', '--limit-rate', 'a:5000=x', 'x'], code: 1, says: /such as 500k or 20m/ },
  { args: ['copy', '--limit-rate', '=1m', 'x', 'y'], code: 1, says: /such as 500k or 20m/ },
  { args: ['pull', '127.0.0.1:1/x'], code: 1, says: /no registry answers on 127\.0\.0\.1:1/ },
  {
    args: ['push', '127.0.0.1:1/x'],
    code: 1,
    says: /no image "127\.0\.0\.1:1\/x" in the local store: dray images lists them/,
  },
  { args: ['push', 'oci:/nowhere'], code: 1, says: /say where oci:\/nowhere goes/ },
  {
    args: ['push', 'oci:/nowhere', 'localhost:1/x'],
    code: 1,
    says: /\/nowhere has no OCI image layout: there is no index\.json in it/,
  },
  {
    args: ['push', 'docker-archive:/nowhere', 'localhost:1/x'],
    code: 1,
    says: /cannot read \/nowhere/,
  },
  {
    args: ['push', 'oci:/etc/passwd', 'localhost:1/x'],
    code: 1,
    says: /^dray: \/etc\/passwd is no directory .* write oci-archive: or docker-archive:$/m,
  },
  {
    args: ['import', '/dev/null', 'x'],
    code: 1,
    says: /^dray: \/dev\/null: no tar archive: it has nothing$/m,
  },
  {
    args: ['pull', 'oci:/a/b:1'],
    code: 1,
    says: /in no registry: dray load -i \/a\/b .*, dray copy oci:\/a\/b:1 store:NAME one/,
  },
  { args: ['push', 'docker-daemon:x:1', 'localhost:1/x'], code: 1, says: /docker save NAME \| / },
  { args: ['copy', 'x', 'dir:/x'], code: 1, says: /^dray: dir:\/x is out of reach: skopeo copy/ },
  {
    args: ['copy', '-a', '--dest-tls-verify=false', 'oci:/x', 'a.example/x'],
    code: 1,
    says: /certificates are always verified: .* on this machine need neither/,
  },
  {
    args: ['pull', '-a', 'a.example/x:1'],
    code: 1,
    says: /is for a repository: write a.example\/x$/m,
  },
  {
    args: ['push', '-a', 'a.example/x:1'],
    code: 1,
    says: /is for a repository: write a.example\/x$/m,
  },
  { args: ['push', '-a', 'a.example/x'], code: 1, says: /no image of a.example\/x .* has a tag/ },
  { args: ['push', '-a', '--digestfile', 'x', 'y'], code: 1, says: /for one image: -q prints/ },
  { args: ['pull', '--arch', 'arm64', 'x'], code: 1, says: /no --arch: write --platform linux\// },
  { args: ['pull', '--policy', 'missing', 'x'], code: 1, says: /dray image exists NAME \|\| dray/ },
  { args: ['push', '--format', 'v2s2', 'x'], code: 1, says: /sent as it is/ },
  { args: ['push', '--sign-by', 'me', 'x'], code: 1, says: /cosign sign NAME@DIGEST/ },
  { args: ['copy', '--dest-compress', 'x', 'y'], code: 1, says: /dray push --compression FORMAT/ },
  { args: ['copy', '--multi-arch', 'system', 'x', 'y'], code: 1, says: /--platform OS\/ARCH for/ },
  { args: ['copy', '--all-tags', 'store:x', 'y'], code: 1, says: /dray push --all-tags sends/ },
  { args: ['copy', '--all-tags', 'x', 'oci:y:1'], code: 1, says: /its own name: write oci:y$/m },
  {
    args: ['copy', '--all-tags', 'x', 'oci-archive:y'],
    code: 1,
    says: /makes no archive: copy to/,
  },
  { args: ['copy', 'x'], code: 1, says: /missing required argument 'destination'/ },
  { args: ['copy', 'docker://', 'x'], code: 1, says: /repository name is missing/ },
  {
    args: ['copy', 'x', 'oci-archive:-'],
    code: 1,
    says: /no place: .*:\/dev\/stdin, or \/dev\/st/,
  },
  { args: ['copy', 'oci:', 'x'], code: 1, says: /oci: names no place/ },
  { args: ['copy', 'oci:/nowhere:', 'x'], code: 1, says: /names no place/ },
  {
    args: ['copy', 'oci:/nowhere', 'localhost:1/x'],
    code: 1,
    says: /\/nowhere has no OCI image layout/,
  },
  { args: ['copy', 'store:x', 'localhost:1/x'], code: 1, says: /no image "x" in the local store/ },
  { args: ['copy', '127.0.0.1:1/x', 'oci:/tmp/x'], code: 1, says: /no registry answers/ },
  { args: ['copy', 'oci:/nowhere', 'docker-archive:'], code: 1, says: /names no place/ },
  { args: ['push', '--compression', 'xz', 'x'], code: 1, says: /gzip, zstd/ },
  {
    args: ['push', '--compression-level', '10', 'localhost:1/x'],
    code: 1,
    says: /gzip has the levels 1 to 9/,
  },
  {
    args: ['import', '--compression', 'zstd', '--compression-level', '23', '/', 'x'],
    code: 1,
    says: /levels 1 to 22/,
  },
  { args: ['copy', 'x', 'y', '--all', '--platform', 'arm64'], code: 1, says: /exclude each other/ },
  { args: ['copy', 'x', 'y', '--platform', 'a/b/c/d'], code: 1, says: /os\/architecture/ },
  { args: ['copy', 'x', 'y', '--src-creds', 'me'], code: 1, says: /<user>:<password>/ },
  { args: ['copy', 'x', 'y', '--dest-creds', ':p'], code: 1, says: /<user>:<password>/ },
  { args: ['serve', '--listen', '0.0.0.0:0'], code: 1, says: /--open-to-anyone/ },
  {
    args: ['serve', '--listen', '0.0.0.0:0', '--open-to-anyone'],
    code: 1,
    says: /--plain-http/,
  },
  { args: ['registry', 'can', 'alice', 'write', 'x'], code: 1, says: /pull, push, overwrite/ },
  { args: ['registry', 'can', 'alice', 'push', 'X'], code: 1, says: /invalid repository name/ },
  { args: ['import', '/nowhere', 'x'], code: 1, says: /cannot import \/nowhere/ },
  { args: ['import', '/etc/hostname', 'x'], code: 1, says: /tar/ },
  { args: ['import', '/etc', 'x', '--env', 'novalue'], code: 1, says: /--env: write NAME=VALUE/ },
  { args: ['import', '/etc', 'x', '--cmd', '["a"'], code: 1, says: /no JSON list of strings/ },
  { args: ['import', '/etc', 'x', '--workdir', 'rel'], code: 1, says: /must be an absolute path/ },
  { args: ['import', '/etc', `x@sha256:${'0'.repeat(64)}`], code: 1, says: /name it by a tag/ },
  { args: ['tag', 'x', 'y:1:2'], code: 1, says: /invalid image reference "y:1:2"/ },
  { args: ['tag', 'x', 'y'], code: 1, says: /no image "x" in the local store/ },
  { args: ['save', 'x'], code: 1, says: /no image "x" in the local store/ },
  { args: ['save', '--format', 'oci-dir', 'x'], code: 1, says: /-o DIRECTORY/ },
  { args: ['save', '--format', 'zip', 'x'], code: 1, says: /docker-archive, oci-archive, oci-dir/ },
  { args: ['load', '-i', '/nowhere'], code: 1, says: /cannot read \/nowhere/ },
  { args: ['load', '-i', '/etc/hostname'], code: 1, says: /tar/ },
  { args: ['inspect', '-l'], code: 1, says: /no --latest: dray inspect \$\(dray ps -lq\)/ },
  { args: ['images', '--tree'], code: 1, says: /no --tree: the column PLATFORM/ },
  { args: ['images', '-f', 'name=x'], code: 1, says: /no such filter "name=x"/ },
  { args: ['images', '-f', 'since=x'], code: 1, says: /no image "x" in the local store/ },
  { args: ['images', '-f', 'until=x'], code: 1, says: /invalid time "x": write 10m \(ago\)/ },
  { args: ['history', 'x'], code: 1, says: /no image "x" in the local store/ },
  { args: ['image', 'rm', 'x'], code: 1, says: /no image "x" in the local store/ },
  { args: ['image', 'pull'], code: 1, says: /missing required argument 'image'/ },
  { args: ['image', 'prune'], code: 1, says: /say so with --force/ },
  {
    args: ['volume', 'prune', '-a'],
    code: 1,
    says: /all volumes that no container has.*\n.*--force/,
  },
  { args: ['system', 'prune'], code: 1, says: /images without a name[\s\S]*--force/ },
  { args: ['stop'], code: 1, says: /name containers, or say --all for all that run/ },
  {
    args: ['rm', '-a', 'x'],
    code: 1,
    says: /name containers, or say --all for all that there are/,
  },
  { args: ['container', 'run'], code: 125, says: /missing required argument 'image'/ },
  { args: ['container', 'stop', 'x'], code: 1, says: /no container is called "x"/ },
  { args: ['network', 'create', '-d', 'macvlan', 'x'], code: 1, says: /choices are bridge/ },
  { args: ['volume', 'create', '-d', 'nfs', 'x'], code: 1, says: /choices are local/ },
  { args: ['network', 'reload'], code: 1, says: /name containers, or say --all/ },
  { args: ['network', 'reload', '-a', 'x'], code: 1, says: /name containers, or say --all/ },
  { args: ['rmi'], code: 1, says: /name images, or say --all for all that there are/ },
  { args: ['rmi', '-a', 'x'], code: 1, says: /name images, or say --all/ },
  { args: ['rmi', '--platform', 'linux/arm64', 'x'], code: 1, says: /the digest of a manifest/ },
  { args: ['save', '-q', '-m', 'x'], code: 1, says: /no image "x" in the local store/ },
  { args: ['save', '--uncompressed', 'x'], code: 1, says: /saved as they are/ },
  { args: ['login', '--compat-auth-file', 'x'], code: 1, says: /write --authfile <file>/ },
  {
    args: ['login', '--get-login', '--authfile', '/nowhere', 'a.example'],
    code: 1,
    says: /^dray: not logged in to a\.example: dray login a\.example$/m,
  },
  { args: ['logout', '-a', 'a.example'], code: 1, says: /name a registry, or say --all/ },
  { args: ['system', 'df', '-v', '--format', '{{.Type}}'], code: 1, says: /table or json/ },
  { args: ['rmi', 'x'], code: 1, says: /no image "x" in the local store/ },
  { args: ['run'], code: 125, says: /missing required argument 'image'/ },
  { args: ['run', '--memory', 'lots', 'x'], code: 125, says: /invalid size "lots"/ },
  { args: ['run', '--memory', '1k', 'x'], code: 125, says: /at least 6m/ },
  { args: ['run', '--cpus', '0.001', 'x'], code: 125, says: /invalid number of CPUs/ },
  { args: ['run', '--cpu-period', '1', 'x'], code: 125, says: /from 1000 to 1000000/ },
  { args: ['run', '--cpu-quota', '10', 'x'], code: 125, says: /1000 or more, or -1/ },
  { args: ['run', '--cgroupns', 'x', 'y'], code: 125, says: /host, private/ },
  { args: ['run', '--link', 'db', 'x'], code: 125, says: /find one another by name: dray network/ },
  { args: ['run', '-v', 'a:b', 'x'], code: 125, says: /\/CONTAINER\/PATH/ },
  { args: ['run', '--cpu-shares', '1', 'x'], code: 125, says: /from 2 to 262144/ },
  { args: ['run', '--cpuset-cpus', '1-0', 'x'], code: 125, says: /invalid list "1-0"/ },
  { args: ['run', '--oom-score-adj', '1001', 'x'], code: 125, says: /from -1000 to 1000/ },
  { args: ['run', '--expose', 'web', 'x'], code: 125, says: /invalid port "web"/ },
  { args: ['run', '--dns', 'one', 'x'], code: 125, says: /invalid name server "one"/ },
  { args: ['run', '--dns-search', 'a b', 'x'], code: 125, says: /"a b" is no word/ },
  { args: ['run', '--dns-option', '', 'x'], code: 125, says: /"" is no word/ },
  { args: ['run', '--add-host', 'a=b', 'x'], code: 125, says: /NAME:ADDRESS/ },
  { args: ['run', '--security-opt', 'no-new-privileges=x', 'x'], code: 125, says: /no such sec/ },
  {
    args: ['run', '--security-opt', 'seccomp=/etc/passwd', 'x'],
    code: 125,
    says: /\/etc\/passwd is no seccomp profile/,
  },
  { args: ['run', '--mount', 'type=bind,target=/x', 'x'], code: 125, says: /source= is an abs/ },
  { args: ['run', '--tmpfs', 'x', 'x'], code: 125, says: /no absolute path for a tmpfs/ },
  { args: ['run', '--cidfile', '/etc/passwd', 'x'], code: 125, says: /is there already/ },
  { args: ['run', '--detach-keys', 'foo', 'x'], code: 125, says: /invalid key "foo"/ },
  { args: ['run', '--env-file', '/nowhere', 'x'], code: 125, says: /^dray: cannot read \/nowhere/ },
  { args: ['update', '-c', 'x', 'y'], code: 1, says: /invalid CPU shares "x"/ },
  { args: ['exec', '-t', 'x', 'sh'], code: 125, says: /no terminal here/ },
  { args: ['run', '127.0.0.1:1/x'], code: 125, says: /no registry answers/ },
  { args: ['run', '--storage-opt', 'size=1g', 'x'], code: 125, says: /--tmpfs \/dir:size=1g/ },
  { args: ['run', '--replace', 'x'], code: 125, says: /--replace needs --name/ },
  { args: ['run', '-d', '-a', 'stdout', 'x'], code: 125, says: /-d and -a exclude each other/ },
  { args: ['run', '-a', 'all', 'x'], code: 125, says: /stdin, stdout or stderr/ },
  { args: ['run', '--annotation', '=x', 'x'], code: 125, says: /annotation "=x": write KEY=VALUE/ },
  { args: ['exec', '--detach-keys', 'foo', 'x', 'sh'], code: 125, says: /invalid key "foo"/ },
  {
    args: ['pull', '--tls-verify=false', 'a.example/x'],
    code: 1,
    says: /always verified.*--cert-dir/,
  },
  {
    args: ['wait', '--condition', 'done', 'x'],
    code: 1,
    says: /ever "done": write created, running/,
  },
  { args: ['run', '--tz', '../passwd', 'x'], code: 125, says: /no time zone "..\/passwd"/ },
  { args: ['run', '--no-hosts', '--add-host', 'a:1.1.1.1', 'x'], code: 125, says: /exclude each/ },
  { args: ['run', '-d', '--rmi', 'x'], code: 125, says: /in the foreground: leave out -d/ },
  { args: ['exec', 'x'], code: 125, says: /no command to run/ },
  { args: ['--root', '/nowhere', 'exec', 'x'], code: 125, says: /no command to run/ },
  { args: ['network', 'create', '-o', 'vlan=1', 'x'], code: 1, says: /no option vlan, but mtu/ },
  { args: ['network', 'create', '-o', 'mtu=1', 'x'], code: 1, says: /invalid mtu "1"/ },
  { args: ['ps', '--sort', 'age'], code: 1, says: /Allowed choices are command, created/ },
  { args: ['run', '--memory-swappiness', '101', 'x'], code: 125, says: /from 0 to 100/ },
  {
    args: ['run', '--device-read-bps', '/dev/sda', 'x'],
    code: 125,
    says: /such as \/dev\/sda:10mb/,
  },
  { args: ['run', '--device-write-iops', '/dev/sda:1m', 'x'], code: 125, says: /\/dev\/sda:1000/ },
  { args: ['version', '-f', '{{.Nothing}}'], code: 1, says: /Client, Server/ },
  { args: ['info', '-f', '{{.Nothing}}'], code: 1, says: /which isn't there: version, node/ },
  { args: ['serve', '--listen', 'nonsense'], code: 1, says: /listen/ },
]

describe('dray', () => {
  for (const { args, code, says } of CASES) {
    it(`answers \`dray ${args.join(' ')}\` with what is wrong`, async (t) => {
      const env = { DRAY_ROOT: join(tempDir(t), 'root') }
      // A process that has connected must also end.
      const isConnected = args.some((arg) => arg.startsWith('127.0.0.1:1/'))
      const outcome = await (isConnected ? dray(args, { env }) : drayHere(args, env))
      assert.match(outcome.stderr, says)
      assert.doesNotMatch(outcome.stderr, /unexpected error|\n {4}at /)
      assert.deepEqual([outcome.code, outcome.stdout], [code, ''])
    })
  }

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
