import { arch } from 'node:process'
import { DrayError } from './error.ts'

/** What an image runs on, in Go's names (image-spec, image-index.md "platform"). */
export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string | undefined
  readonly 'os.version'?: string | undefined
  readonly 'os.features'?: readonly string[] | undefined
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  ppc64: 'ppc64le',
  mips64el: 'mips64le',
}

// A map, since `constructor` is a name, too.
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['x86_64', 'amd64'],
  ['x86-64', 'amd64'],
  ['aarch64', 'arm64'],
  ['i386', '386'],
  ['armhf', 'arm/v7'],
  ['armel', 'arm/v6'],
])

/** What processors run besides their own. */
const ALSO_RUN: Readonly<Record<string, string>> = { amd64: '386', arm64: 'arm' }

/** Variants that stand for no variant at all, or for the default one. */
const DEFAULT_VARIANTS: Readonly<Record<string, string>> = { arm64: 'v8', arm: 'v7', amd64: 'v1' }

/** The platform of this machine's Linux containers. */
export function hostPlatform(architecture: string = arch): Platform {
  const name = ARCHITECTURES[architecture] ?? architecture
  return name === 'arm'
    ? { os: 'linux', architecture: 'arm', variant: 'v7' }
    : { os: 'linux', architecture: name }
}

/**
 * Parses `os/arch[/variant]`, or an architecture alone, which means Linux.
 *
 * @throws PLATFORM_INVALID
 */
export function parsePlatform(text: string): Platform {
  const parts = text.toLowerCase().split('/')
  if (parts.some((part) => !/^[a-z0-9_.-]+$/.test(part)) || parts.length > 3) {
    throw new DrayError(
      'PLATFORM_INVALID',
      `invalid platform ${JSON.stringify(text)}: write os/architecture[/variant], such as linux/arm64`,
    )
  }
  const [os = 'linux', raw = ''] = parts.length === 1 ? ['linux', parts[0]] : parts
  return { os, ...inGo(raw, parts[2]) }
}

/** An architecture as Go calls it. */
function inGo(name: string, given: string | undefined): Omit<Platform, 'os'> {
  const [architecture = name, aliased] = (ALIASES.get(name) ?? name).split('/')
  const variant = given ?? aliased
  return variant === undefined ? { architecture } : { architecture, variant }
}

/** `os/arch[/variant]`. */
export function formatPlatform(platform: Platform): string {
  const variant = platform.variant === undefined ? '' : `/${platform.variant}`
  return `${platform.os}/${platform.architecture}${variant}`
}

/**
 * How well an image for `offered` runs on `wanted`: 0 not at all, higher is better. An arm host also runs images of
 * lower variants.
 */
export function matchPlatform(wanted: Platform, offered: Platform): number {
  if (wanted.os !== offered.os || wanted.architecture !== offered.architecture) return 0
  const want = variantLevel(wanted)
  const have = variantLevel(offered)
  if (want === have) return 100
  return wanted.architecture === 'arm' && have < want ? have : 0
}

/** Of several things for platforms, what runs best on `wanted`; the first one among equals, also where none does. Undefined of none. */
export function bestFor<T>(
  wanted: Platform,
  things: readonly T[],
  platformOf: (thing: T) => Platform | undefined,
): T | undefined {
  const fit = (thing: T) => {
    const offered = platformOf(thing)
    return offered === undefined ? -1 : matchPlatform(wanted, offered)
  }
  return things.toSorted((a, b) => fit(b) - fit(a))[0]
}

/**
 * Whether an image that says it is for `offered` won't run on `wanted`. Configs are carelessly made: what they leave out is
 * no objection, and of variants only those of arm are, since nobody knows the levels of this machine.
 */
export function isForeign(wanted: Platform, offered: Platform): boolean {
  if (offered.os === '' || offered.architecture === '') return false
  if (wanted.os !== offered.os.toLowerCase()) return true
  const have = { os: wanted.os, ...inGo(offered.architecture.toLowerCase(), offered.variant) }
  if (ALSO_RUN[wanted.architecture] === have.architecture) return false
  if (wanted.architecture !== have.architecture) return true
  return have.architecture === 'arm' && variantLevel(have) > variantLevel(wanted)
}

function variantLevel(platform: Platform): number {
  const variant = platform.variant || DEFAULT_VARIANTS[platform.architecture] || 'v0'
  const level = /^v([0-9]{1,2})$/.exec(variant)?.[1]
  return level === undefined ? -1 : Number(level)
}
