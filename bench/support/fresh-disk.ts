import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const GiB = 1024 ** 3

/** Runs a program without a word. */
export function run([program = '', ...args]: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], maxBuffer: 1 << 26 })
}

/** Gives `work` an empty directory on an ext4 that nothing was ever removed from, made in `dir`. */
export async function onFreshDisk<T>(dir: string, work: (dir: string) => Promise<T>): Promise<T> {
  const [disk, mount] = [join(dir, 'disk'), join(dir, 'mnt')]
  writeFileSync(disk, '')
  truncateSync(disk, 16 * GiB)
  mkdirSync(mount, { recursive: true })
  run(['mkfs.ext4', '-q', '-F', disk])
  run(['mount', '-o', 'loop', disk, mount])
  run(['sync', '-f', mount])
  try {
    return await work(mount)
  } finally {
    run(['umount', '-R', '-l', mount])
    rmSync(disk)
  }
}
