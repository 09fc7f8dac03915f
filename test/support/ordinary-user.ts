import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before } from 'node:test'
import { killAndWait } from '#runner/processes.ts'
import type { Outcome } from './dray.ts'

const REPOSITORY = join(import.meta.dirname, '../..')
const DATABASES = ['passwd', 'group', 'subuid', 'subgid'] as const

/** The first of the numbers that the user's containers may use, beside its own. */
export const FIRST_SUB_ID = 700_000

/** A user with a home, and with ranges of numbers if it is to have some, whom only the tests of a file know. */
export interface OrdinaryUser {
  readonly uid: number
  readonly home: string
  readonly store: string
  /** Runs dray as this user. */
  dray(...args: readonly string[]): Promise<Outcome>
  /** Runs a command that must succeed. @returns what it prints, without white space around */
  ok(...args: readonly string[]): Promise<string>
  /** The process that holds the namespaces of the store. */
  holder(): number
}

/**
 * Makes a user before the tests of a file, in a mount namespace where the host's user database is another one and devices are open
 * to all, and ends what it started after them.
 */
export function ordinaryUser(options: {
  readonly uid: number
  readonly name: string
  readonly hasRanges: boolean
}): OrdinaryUser {
  const { uid, name } = options
  let dir = ''
  let host: ChildProcess
  const user: OrdinaryUser = {
    uid,
    get home() {
      return join(dir, 'home')
    },
    get store() {
      return join(dir, 'home/.local/share/dray')
    },
    dray: (...args) => runAs(host.pid ?? 0, options, dir, args),
    async ok(...args) {
      const { code, stdout, stderr } = await user.dray(...args)
      if (code !== 0) throw new Error(`dray ${args.join(' ')}: ${code} ${stderr}`)
      return stdout.trim()
    },
    holder: () => JSON.parse(readFileSync(join(user.store, 'namespace.json'), 'utf8')).pid,
  }
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'dray-user-'))
    chmodSync(dir, 0o711)
    for (const each of ['home', 'dray', 'dev']) mkdirSync(join(dir, each))
    chownSync(user.home, uid, uid)
    for (const file of DATABASES) {
      if (existsSync(`/etc/${file}`)) copyFileSync(`/etc/${file}`, join(dir, file))
    }
    appendFileSync(join(dir, 'passwd'), `${name}:x:${uid}:${uid}::${user.home}:/bin/sh\n`)
    appendFileSync(join(dir, 'group'), `${name}:x:${uid}:\n`)
    const range = options.hasRanges ? `${name}:${FIRST_SUB_ID}:65536\n` : ''
    for (const file of ['subuid', 'subgid']) appendFileSync(join(dir, file), range)
    host = await openHost(dir)
  })
  after(async () => {
    if (existsSync(join(user.store, 'namespace.json'))) {
      const ids = (await user.ok('ps', '-aq')).split('\n').filter(Boolean)
      if (ids.length > 0) await user.ok('rm', '-f', ...ids)
      await killAndWait(user.holder())
    }
    host.stdin?.end()
    await once(host, 'exit')
    rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  })
  return user
}

/** The repository may be where only root may go; there is a way to it that is open to all. */
const OPEN = [
  'mount --bind "$1" dray && mount -t tmpfs tmpfs dev',
  ...DATABASES.map((file) => `mount --bind ${file} /etc/${file}`),
  'if [ -e /dev/net/tun ]; then mknod -m 666 dev/tun c 10 200 && mount --bind dev/tun /dev/net/tun; fi',
  'echo open && read -r closed',
].join('\n')

async function openHost(dir: string): Promise<ChildProcess> {
  const child = spawn(
    'unshare',
    ['--mount', '--propagation', 'private', 'sh', '-ec', OPEN, 'sh', REPOSITORY],
    { cwd: dir, stdio: ['pipe', 'pipe', 'inherit'] },
  )
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const { value } = await lines.next()
  if (value !== 'open') throw new Error('cannot make a mount namespace for a user')
  return child
}

function runAs(
  host: number,
  { uid }: { readonly uid: number },
  dir: string,
  args: readonly string[],
): Promise<Outcome> {
  const become = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--']
  const env = ['env', '-i', `HOME=${join(dir, 'home')}`, `PATH=${process.env.PATH}`]
  const enter = [`--target=${host}`, '--mount', '--', ...become, ...env, 'sh', '-c', IN_HOME]
  return new Promise((resolve) => {
    const child = execFile(
      'nsenter',
      [...enter, join(dir, 'dray/bin/dray'), ...args],
      { timeout: 120_000 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
        resolve({ code, stdout, stderr })
      },
    )
    child.stdin?.end()
  })
}

const IN_HOME = 'cd && exec "$0" "$@"'
