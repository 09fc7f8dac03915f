import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { ioctl } from '#puller/sys.ts'
import { afterTest } from './after.ts'
import { tempDir } from './temp-dir.ts'

/** A disk whose power can be cut. */
export interface PowerDisk {
  readonly dir: string
  /** Puts everything on the disk. */
  sync(): void
  /** From here on nothing reaches the disk, neither what was written before and is in memory only. Every call on it fails. */
  cut(): void
  /** The disk as it is found when there is power again. Files that are open go on failing. */
  restore(): void
}

const SIZE = 96 * 1024 * 1024
/** By which nothing but a sync puts anything on the disk, but for luck. */
const OPTIONS = 'loop,noauto_da_alloc,commit=300'
// linux/fs.h: FS_IOC_SHUTDOWN, FS_SHUTDOWN_FLAGS_NOLOGFLUSH
const SHUTDOWN = 0x8004587d
const NO_LOG_FLUSH = Buffer.from(Uint32Array.of(2).buffer)

/** Makes an ext4 on a disk of its own. */
export function powerDisk(t: TestContext): PowerDisk {
  const [memory, dir] = [join(tempDir(t), 'memory'), join(tempDir(t), 'mnt')]
  const [disk, found] = [join(memory, 'disk'), join(memory, 'found')]
  mkdirSync(memory)
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', memory]) // where a sync takes no time
  afterTest(t, () => unmount(memory))
  writeFileSync(disk, '')
  truncateSync(disk, SIZE)
  mkdirSync(dir)
  execFileSync('mkfs.ext4', ['-q', '-m', '0', disk])
  const mount = () => execFileSync('mount', ['-t', 'ext4', '-o', OPTIONS, disk, dir])
  mount()
  afterTest(t, () => unmount(dir))
  return {
    dir,
    sync: () => void execFileSync('sync', ['-f', dir]),
    cut() {
      const fd = openSync(dir, 'r')
      ioctl(fd, 'FS_IOC_SHUTDOWN', SHUTDOWN, NO_LOG_FLUSH)
      closeSync(fd)
    },
    restore() {
      unmount(dir)
      // Of a disk of its own, since whoever has a file of it open, or a mount namespace, keeps the file system that was cut.
      execFileSync('cp', ['--sparse=always', disk, found])
      execFileSync('mv', [found, disk])
      mount()
    },
  }
}

function unmount(dir: string): void {
  execFileSync('umount', ['--lazy', dir])
}
