import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describeTree, type TreeNode } from './tree.ts'

/** A containerd with all that is its own in one directory. */
export interface Containerd {
  readonly pid: number
  /** See {@link clientOf}. */
  readonly client: readonly string[]
  end(): Promise<void>
}

/** The command line of the client of a containerd in `dir`, to which arguments are to be added. */
export function clientOf(dir: string, prefix: readonly string[] = []): readonly string[] {
  return [...prefix, 'ctr', '-a', socketIn(dir)]
}

function socketIn(dir: string): string {
  return join(dir, 'c.sock')
}

/**
 * Starts containerd.
 *
 * @param dir where it keeps all; not longer than the path of a socket may be
 * @param prefix runs it in another root, which must see `dir` and what will be mounted there
 */
export async function startContainerd(
  dir: string,
  prefix: readonly string[] = [],
): Promise<Containerd> {
  const config = join(dir, 'config.toml')
  const places = `root = "${dir}/root"\nstate = "${dir}/state"`
  writeFileSync(config, `version = 2\n${places}\n[grpc]\naddress = "${socketIn(dir)}"\n`)
  const [program = '', ...args] = [...prefix, 'containerd', '-c', config, '-l', 'error']
  const child = spawn(program, args, { stdio: 'ignore' })
  const end = async () => {
    if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit')
  }
  const client = clientOf(dir, prefix)
  for (let tries = 0; !(await answers(client)); tries++) {
    if (tries === 100 || child.exitCode !== null) {
      await end()
      throw new Error(
        `containerd doesn't answer; does ${prefix.join(' ')} see what is mounted in ${dir}?`,
      )
    }
    await sleep(100)
  }
  return { pid: child.pid ?? 0, client, end }
}

/**
 * Pulls an image from a registry without TLS and describes the tree that a container of it would see.
 *
 * @param dir an empty directory to mount it in
 */
export async function treeByContainerd(
  { client }: Containerd,
  image: string,
  dir: string,
): Promise<TreeNode[]> {
  mkdirSync(dir, { recursive: true })
  await run([...client, 'images', 'pull', '--plain-http', image])
  await run([...client, 'images', 'mount', image, dir])
  try {
    return describeTree(dir)
  } finally {
    await run([...client, 'images', 'unmount', dir])
  }
}

/** Of directories that a layer only implies, containerd forgets the date, which is then that of their unpacking: they get ours. */
export function redated(
  theirs: readonly TreeNode[],
  ours: readonly TreeNode[],
  since: Date,
): TreeNode[] {
  const sinceNs = BigInt(since.getTime()) * 1_000_000n
  const dates = new Map(ours.map(({ path, mtimeNs }) => [path, mtimeNs]))
  return theirs.map((node) => {
    const isTheirOwn = node.type === 'directory' && node.mtimeNs >= sinceNs
    return isTheirOwn ? { ...node, mtimeNs: dates.get(node.path) ?? node.mtimeNs } : node
  })
}

async function answers(client: readonly string[]): Promise<boolean> {
  return await run([...client, 'version']).then(
    () => true,
    () => false,
  )
}

async function run([program = '', ...args]: readonly string[]): Promise<void> {
  await promisify(execFile)(program, args, { maxBuffer: 1 << 26 })
}
