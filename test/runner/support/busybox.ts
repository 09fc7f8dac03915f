import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { digestOf } from '#oci/digest.ts'
import type { ExecutionConfig } from '#oci/image-config.ts'
import type { Rootfs } from '#oci/rootfs.ts'

const BUSYBOX = '/bin/busybox'

const APPLETS = [
  'awk cat chmod chroot cp dd df echo env false grep head hostname id ip kill ln ls mkdir mknod mount ps pwd readlink rm',
  'sed seq sh sleep stat sync tail test touch true tty umount uname unshare wc yes',
].flatMap((line) => line.split(' '))

/** Fills a directory with a small root file system: one static program under its many names, and two users. */
export function makeBusyboxTree(dir: string): string {
  for (const name of ['bin', 'etc', 'tmp', 'root', 'home/app', 'var/lib']) {
    mkdirSync(join(dir, name), { recursive: true })
  }
  copyFileSync(BUSYBOX, join(dir, 'bin/busybox'))
  for (const name of APPLETS) symlinkSync('busybox', join(dir, 'bin', name))
  writeFileSync(
    join(dir, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n',
  )
  writeFileSync(join(dir, 'etc/group'), 'root:x:0:\napp:x:1000:\nextra:x:50:app\n')
  return dir
}

/** An image of directories, lowest first. */
export function rootfsOf(lowerDirs: readonly string[], config: ExecutionConfig = {}): Rootfs {
  return {
    manifestDigest: digestOf('an image made for a test'),
    config: {
      architecture: 'amd64',
      os: 'linux',
      config,
      rootfs: { type: 'layers', diff_ids: [] },
    },
    lowerDirs,
  }
}
