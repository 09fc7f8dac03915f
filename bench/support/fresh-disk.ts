import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const MiB = 1024 ** 2
const GiB = 1024 * MiB

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
  fillMemory(dir)
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

/** MiB of the file of holes that were read. */
let filled = 0

/**
 * Has the page cache take all memory that is free, as on a machine that has been up for a while. A virtual machine may give what
 * is free back to its host, and to get it again can take longer than all else in a pull: 2 s a GB, for whoever comes first.
 */
function fillMemory(dir: string): void {
  const holes = join(dir, 'holes')
  writeFileSync(holes, '', { flag: 'a' })
  truncateSync(holes, 1024 * GiB)
  const [, free] = /^MemFree: *([0-9]+) kB/m.exec(readFileSync('/proc/meminfo', 'latin1')) ?? []
  const count = Math.floor((Number(free) * 1024) / MiB)
  run(['dd', `if=${holes}`, 'of=/dev/null', 'bs=1M', `skip=${filled}`, `count=${count}`])
  filled += count
}
