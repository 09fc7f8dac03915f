/** Whether an attribute belongs to overlay itself, which a layer must not set: it could redirect or hide files. */
export function isOverlayXattr(name: string): boolean {
  return name.startsWith('trusted.overlay.') || name.startsWith('user.overlay.')
}

const PORTABLE = /^(?:user|trusted)\.|^security\.capability$|^system\.posix_acl_(?:access|default)$/

/**
 * Whether an attribute of a file belongs to the file: the user's and root's own, capabilities and POSIX ACLs. Labels that the
 * host's security modules give (SELinux, IMA) and what file systems show as attributes don't.
 */
export function isPortableXattr(name: string): boolean {
  return PORTABLE.test(name) && !isOverlayXattr(name)
}

/** overlay's mark of a directory that hides what is below it, made by root of the host or by anybody else. */
export function opaqueXattr(byRoot: boolean): string {
  return byRoot ? 'trusted.overlay.opaque' : 'user.overlay.opaque'
}
