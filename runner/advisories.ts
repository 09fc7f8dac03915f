/**
 * Holes of OCI runtimes that are known, and what stands before them. Some are closed here whatever the runtime does: a test
 * in `test/runner/` shows it. The others are the runtime's duty, and its version tells whether it does it.
 */
export interface Advisory {
  readonly id: string
  readonly runtime: 'runc' | 'crun'
  /** The first version of each branch that is without it, oldest first. */
  readonly fixedIn: readonly string[]
  /** Whether what Dray does keeps images and containers from using it. */
  readonly isPrevented: boolean
}

/** Published by the projects themselves. */
export const ADVISORIES: readonly Advisory[] = [
  // The runtime's own program overwritten from inside.
  { id: 'CVE-2019-5736', runtime: 'runc', fixedIn: ['1.0.0'], isPrevented: false },
  // /proc of the image as a link: such an image is refused.
  { id: 'CVE-2019-19921', runtime: 'runc', fixedIn: ['1.0.0'], isPrevented: true },
  { id: 'CVE-2023-27561', runtime: 'runc', fixedIn: ['1.1.5'], isPrevented: true },
  { id: 'CVE-2023-28642', runtime: 'runc', fixedIn: ['1.1.5'], isPrevented: true },
  // Capabilities that are inherited: there are none.
  { id: 'CVE-2022-29162', runtime: 'runc', fixedIn: ['1.1.2'], isPrevented: true },
  { id: 'CVE-2022-27650', runtime: 'crun', fixedIn: ['1.4.4'], isPrevented: true },
  // Descriptors of the runtime as a working directory: refused, and none but three are handed on.
  { id: 'CVE-2024-21626', runtime: 'runc', fixedIn: ['1.1.12'], isPrevented: true },
  // Empty files made outside by a race of two containers that share a volume.
  { id: 'CVE-2024-45310', runtime: 'runc', fixedIn: ['1.1.14', '1.2.0'], isPrevented: false },
  // Races for /dev/null, /dev/console and procfs while a container is set up.
  {
    id: 'CVE-2025-31133',
    runtime: 'runc',
    fixedIn: ['1.2.8', '1.3.3', '1.4.0'],
    isPrevented: false,
  },
  {
    id: 'CVE-2025-52565',
    runtime: 'runc',
    fixedIn: ['1.2.8', '1.3.3', '1.4.0'],
    isPrevented: false,
  },
  {
    id: 'CVE-2025-52881',
    runtime: 'runc',
    fixedIn: ['1.2.8', '1.3.3', '1.4.0'],
    isPrevented: false,
  },
  // /dev of the image as a link: such an image is refused.
  {
    id: 'CVE-2026-41579',
    runtime: 'runc',
    fixedIn: ['1.3.6', '1.4.3', '1.5.0'],
    isPrevented: true,
  },
  { id: 'CVE-2026-47766', runtime: 'crun', fixedIn: ['1.28.0'], isPrevented: true },
]

/**
 * The holes that a runtime has by what it says of its version; all of them, when it says none. A distribution may have closed
 * some without changing the version. Pure.
 */
export function advisoriesOf(runtime: string, versionLine: string | undefined): Advisory[] {
  const version = parseVersion(versionLine ?? '')
  return ADVISORIES.filter((each) => each.runtime === runtime && !isFixed(version, each.fixedIn))
}

type Version = readonly [major: number, minor: number, patch: number]

/** A candidate for a release counts as what came before it. */
function parseVersion(text: string): Version {
  const match = /(\d+)\.(\d+)(?:\.(\d+))?(-rc)?/.exec(text)
  if (match === null) return [0, 0, 0]
  const patch = Number(match[3] ?? 0) - (match[4] === undefined ? 0 : 1)
  return [Number(match[1]), Number(match[2]), patch]
}

function isFixed(version: Version, fixedIn: readonly string[]): boolean {
  const fixes = fixedIn.map(parseVersion)
  const last = fixes.at(-1) ?? [0, 0, 0]
  if (compare(version, last) >= 0) return true
  const branch = fixes.find(([major, minor]) => major === version[0] && minor === version[1])
  return branch !== undefined && version[2] >= branch[2]
}

function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2]
}
