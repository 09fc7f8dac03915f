import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const GiB = 1024 ** 3

/** Runs a program without a word. */
export function run([program = '', ...args]: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], maxBuffer: 1 << 26 })
}

/**
 * Gives `work` an empty directory on an ext4 that nothing was ever removed from, made in `dir`. What is written to it goes past
 * the page cache of the file system below, and nothing is left to be made of it in the background: as on a disk.
 */
export async function onFreshDisk<T>(dir: string, work: (dir: string) => Promise<T>): Promise<T> {
  const [disk, mount] = [join(dir, 'disk'), join(dir, 'mnt')]
  writeFileSync(disk, '')
  truncateSync(disk, 16 * GiB)
  mkdirSync(mount, { recursive: true })
  run(['mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0', disk])
  const loop = execFileSync('losetup', ['--find', '--show', '--direct-io=on', disk])
    .toString()
    .trim()
  run(['mount', loop, mount])
  run(['sync', '-f', mount])
  try {
    return await work(mount)
  } finally {
    run(['umount', '-R', '-l', mount])
    run(['losetup', '-d', loop])
    rmSync(disk)
  }
}
