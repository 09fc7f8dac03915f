import { readFileSync } from 'node:fs'

/** An overlay that is mounted somewhere. */
export interface MountedOverlay {
  readonly mountPoint: string
  /** As the kernel tells them; what they name is the directories it is made of. */
  readonly options: string
}

/** The overlays that this process sees (proc(5), "mountinfo"). */
export function readOverlays(): MountedOverlay[] {
  return parseOverlays(readFileSync('/proc/self/mountinfo', 'latin1'))
}

/** Lines that it can't read are left out. */
export function parseOverlays(text: string): MountedOverlay[] {
  return text.split('\n').flatMap((line) => {
    const [left = '', right = ''] = line.split(' - ', 2)
    const mountPoint = left.split(' ')[4]
    const [type, , options] = right.split(' ')
    if (type !== 'overlay' || mountPoint === undefined || options === undefined) return []
    return [{ mountPoint: unescapeOctal(mountPoint), options: unescapeOctal(options) }]
  })
}

function unescapeOctal(text: string): string {
  const bytes = text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
