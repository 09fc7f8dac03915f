import { closeSync, constants, openSync } from 'node:fs'
import { errnoOf } from '#oci/errno.ts'
import { ioctl } from './sys.ts'

/**
 * Linux's fs-verity (Documentation/filesystems/fsverity.rst): a file that has it never changes again, and each block of it
 * that comes from the disk is compared with a tree of hashes whose root is the file's digest.
 */

const FS_IOC_ENABLE_VERITY = 0x40806685
const FS_IOC_MEASURE_VERITY = 0xc0046686
const ENABLE_ARG_SIZE = 128 // struct fsverity_enable_arg of linux/fsverity.h
const VERSION = 1
const SHA256 = 1
const HASH_BLOCK_SIZE = 4096
const DIGEST_HEAD = 4 // struct fsverity_digest
const DIGEST_SIZE = 32

/** What a file without fs-verity answers, or a file system or kernel that has none. */
const NONE: readonly unknown[] = ['ENODATA', 'ENOTTY', 'ENOTSUP']

/**
 * Gives a file fs-verity, for good. It is read once from start to end, and nobody may have it open for writing.
 *
 * @returns its digest, in hexadecimal: of equal files, the same one everywhere
 * @throws SYSCALL_FAILED and errors of `node:fs`
 */
export function enableVerity(path: string): string {
  return withFile(path, (fd) => {
    const argument = Buffer.alloc(ENABLE_ARG_SIZE)
    for (const [index, value] of [VERSION, SHA256, HASH_BLOCK_SIZE].entries())
      argument.writeUInt32LE(value, index * 4)
    ioctl(fd, 'FS_IOC_ENABLE_VERITY', FS_IOC_ENABLE_VERITY, argument)
    return measure(fd) ?? ''
  })
}

/**
 * The digest of a file that has fs-verity, without reading it; undefined when it has none.
 *
 * @throws SYSCALL_FAILED and errors of `node:fs`
 */
export function verityDigest(path: string): string | undefined {
  return withFile(path, measure)
}

function measure(fd: number): string | undefined {
  const digest = Buffer.alloc(DIGEST_HEAD + DIGEST_SIZE)
  digest.writeUInt16LE(DIGEST_SIZE, 2)
  try {
    ioctl(fd, 'FS_IOC_MEASURE_VERITY', FS_IOC_MEASURE_VERITY, digest)
    return digest.toString('hex', DIGEST_HEAD)
  } catch (error) {
    if (NONE.includes(errnoOf(error))) return undefined
    throw error
  }
}

function withFile<T>(path: string, work: (fd: number) => T): T {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    return work(fd)
  } finally {
    closeSync(fd)
  }
}
