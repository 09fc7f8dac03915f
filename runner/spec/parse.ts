import { isIP } from 'node:net'
import { DrayError } from '#oci/error.ts'
import { type ContainerOptions, normalPath, type SharedNamespace } from '../options.ts'

/** Parses numbers and ranges of cpuset(7), such as `0-2,4`. @throws USAGE */
export function parseCpuset(text: string): string {
  const ranges = text.split(',').map((range) => /^(\d+)(?:-(\d+))?$/.exec(range))
  if (ranges.every((range) => range && Number(range[2] ?? range[1]) >= Number(range[1])))
    return text
  throw usage(`invalid list ${JSON.stringify(text)}: write numbers and ranges, such as 0-2,4`)
}

/** Parses a program, or a JSON list of it and its first arguments; empty for none. */
export function parseEntrypoint(text: string): readonly string[] {
  try {
    const words: unknown = text.startsWith('[') ? JSON.parse(text) : undefined
    if (Array.isArray(words) && words.every((word) => typeof word === 'string')) return words
  } catch {
    // A program may be called so.
  }
  return [text]
}

/** Parses the cgroup to be put below: an absolute path in every hierarchy. @throws USAGE */
export function parseCgroupParent(text: string): string {
  const path = normalPath(text)
  if (path !== '/' && /^[\w./@:-]+$/.test(text) && !text.split('/').includes('..')) return path
  throw usage(`invalid cgroup ${JSON.stringify(text)}: write a path such as /services`)
}

/** Kernel parameters that namespaces keep apart (runtime-spec, config-linux.md "Sysctl"). */
const DIVIDED =
  /^(?:net\.|fs\.mqueue\.|kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)$)/

/** Parses `NAME=VALUE` of a kernel parameter that is not the whole host's. @throws USAGE */
export function parseSysctl(text: string): [string, string] {
  const equals = text.indexOf('=')
  const [name, value] = [text.slice(0, equals), text.slice(equals + 1)]
  if (equals > 0 && DIVIDED.test(name) && /^[\w.-]+$/.test(name)) return [name, value]
  throw usage(
    `invalid kernel parameter ${JSON.stringify(text)}: write NAME=VALUE, of net.*, fs.mqueue.* or kernel.shm* and the like`,
  )
}

/** Parses `NAME:ADDRESS` or `NAME=ADDRESS`; `host-gateway` is an address too. @throws USAGE */
export function parseExtraHost(text: string): string {
  const colon = text.search(/[:=]/)
  const [name, address] = [text.slice(0, colon), text.slice(colon + 1).replace(/^\[(.*)\]$/, '$1')]
  if (/^[\w.-]+$/.test(name) && (isIP(address) > 0 || address === 'host-gateway')) {
    return `${name}:${address}`
  }
  throw usage(`invalid host ${JSON.stringify(text)}: write NAME:ADDRESS`)
}

/** Parses an address of `--dns`. @throws USAGE */
export function parseNameServer(text: string): string {
  if (isIP(text) > 0) return text
  throw usage(`invalid name server ${JSON.stringify(text)}: write an address such as 192.0.2.53`)
}

/** Parses a domain of `--dns-search`, `.` for none, or an option of `--dns-option`: a word of resolv.conf(5). @throws USAGE */
export function parseResolverWord(text: string): string {
  if (/^[\w.:-]+$/.test(text)) return text
  throw usage(`${JSON.stringify(text)} is no word for the resolver: letters, digits, _ . : and -`)
}

/** Parses `none`, `private`, `shareable`, `host` or `container:NAME`. @throws USAGE */
export function parseIpc(text: string): ContainerOptions['ipc'] {
  return text === 'none' || text === 'private' ? text : parseSharedNamespace(text)
}

/** Parses `host`, `private` or `container:NAME`. @throws USAGE */
export function parseSharedNamespace(text: string): SharedNamespace | undefined {
  if (text === 'private' || text === 'shareable' || text === '') return undefined
  if (text === 'host' || /^container:.+/.test(text)) return text as SharedNamespace
  throw usage(`invalid namespace ${JSON.stringify(text)}: write host, private or container:NAME`)
}

function usage(message: string): DrayError {
  return new DrayError('USAGE', message)
}
