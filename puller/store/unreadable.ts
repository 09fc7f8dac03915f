import { errnoOf } from '#oci/errno.ts'

/** What reading answers where something else is in a file's place, or the disk or its file system is damaged. */
const UNREADABLE = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'EIO', 'EUCLEAN', 'EBADMSG'])

/**
 * Whether a system call failed because something can't be read, now or later. EIO is also what fs-verity answers when it finds
 * other bytes than it was given to.
 */
export function isUnreadable(error: unknown): boolean {
  return UNREADABLE.has(errnoOf(error) ?? '')
}
