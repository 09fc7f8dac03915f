import { readFileSync } from 'node:fs'

/** One line of /proc/PID/mountinfo (proc(5)). */
export interface MountInfo {
  readonly mountPoint: string
  readonly type: string
  readonly source: string
  readonly superOptions: readonly string[]
}

/** Parses /proc/PID/mountinfo, in the kernel's order: what was mounted later comes later. Lines it can't read are left out. */
export function parseMountInfo(text: string): MountInfo[] {
  return text.split('\n').flatMap((line) => {
    const [left, right] = line.split(' - ', 2)
    const mountPoint = left?.split(' ')[4]
    const [type, source, options] = right?.split(' ') ?? []
    if (mountPoint === undefined || type === undefined || source === undefined) return []
    return [
      {
        mountPoint: unescapeOctal(mountPoint),
        type,
        source: unescapeOctal(source),
        superOptions: options?.split(',') ?? [],
      },
    ]
  })
}

/** The mounts of this process. */
export function readMounts(): MountInfo[] {
  return parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8'))
}

/** The mount points at and below a directory, the last mounted first: the order to unmount them in. `dir` has no symlink in it. */
export function mountPointsUnder(dir: string): string[] {
  const points = readMounts().map((mount) => mount.mountPoint)
  return points.filter((point) => point === dir || point.startsWith(`${dir}/`)).reverse()
}

function unescapeOctal(text: string): string {
  if (!text.includes('\\')) return text
  const bytes = text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
