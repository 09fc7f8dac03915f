import { realpathSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { DrayError } from '#oci/error.ts'
import {
  isInside,
  type NamedVolume,
  normalPath,
  parseVolume,
  type Tmpfs,
  type Volume,
} from '../options.ts'
import { parseBytes } from '../size.ts'
import { isVolumeName } from './store.ts'

/** What a `-v`, `--mount` or `--tmpfs` asks for, sorted by kind. */
export interface WantedMounts {
  readonly volumes: readonly Volume[]
  readonly namedVolumes: readonly NamedVolume[]
  readonly tmpfs: readonly Tmpfs[]
}

const NONE: WantedMounts = { volumes: [], namedVolumes: [], tmpfs: [] }
const PROPAGATIONS = ['shared', 'slave', 'private', 'rshared', 'rslave', 'rprivate']
/** Of SELinux and of docker on a Mac: nothing here. */
const IGNORED = ['z', 'Z', 'cached', 'delegated', 'consistent']

/** Parses `[HOST:|NAME:]CONTAINER[:OPTIONS]` of `-v`. @throws USAGE */
export function parseVolumeFlag(text: string): WantedMounts {
  const [first = '', second, third, ...rest] = text.split(':')
  if (rest.length > 0 || first === '') throw usage(text)
  if (second === undefined || (!second.startsWith('/') && third === undefined)) {
    return named(text, undefined, first, second)
  }
  if (isVolumeName(first)) return named(text, first, second, third)
  const options = optionsOf(text, third)
  const host = first.startsWith('.') ? resolve(first) : first
  const volume = parseVolume(`${host}:${second}${options.includes('ro') ? ':ro' : ''}`)
  const propagation = options.find((option) => PROPAGATIONS.includes(option))
  const mapsIds = options.includes('idmap')
  return {
    ...NONE,
    volumes: [{ ...volume, ...(propagation && { propagation }), ...(mapsIds && { mapsIds }) }],
  }
}

function named(
  text: string,
  name: string | undefined,
  containerPath: string,
  optionText: string | undefined,
): WantedMounts {
  const options = optionsOf(text, optionText)
  if (!containerPath.startsWith('/')) throw usage(text)
  // Its checks of the place hold for every kind of volume.
  const { containerPath: place } = parseVolume(`/:${containerPath}`)
  const readOnly = options.includes('ro')
  const copiesUp = !options.includes('nocopy')
  return { ...NONE, namedVolumes: [{ name, containerPath: place, readOnly, copiesUp }] }
}

function optionsOf(text: string, options: string | undefined): string[] {
  const words = options === undefined ? [] : options.split(',')
  const known = ['ro', 'rw', 'nocopy', 'idmap', ...PROPAGATIONS, ...IGNORED]
  if (words.every((word) => known.includes(word))) return words
  throw usage(text)
}

/**
 * Parses `type=bind|volume|tmpfs,source=...,target=...,...` of `--mount`, a line of CSV: `"source=/a,b"` holds a comma.
 *
 * @throws USAGE
 */
export function parseMountFlag(text: string): WantedMounts {
  const fields = new Map(
    splitQuoted(text).map((field) => {
      const equals = field.indexOf('=')
      return equals < 0 ? [field, 'true'] : [field.slice(0, equals), field.slice(equals + 1)]
    }),
  )
  const invalid = (why: string) =>
    new DrayError('USAGE', `invalid mount ${JSON.stringify(text)}: ${why}`)
  const field = (...names: readonly string[]) =>
    names.map((name) => fields.get(name)).find((value) => value !== undefined)
  const isOn = (...names: readonly string[]) => {
    const value = field(...names) ?? 'false'
    if (/^(?:true|1|false|0)$/.test(value)) return value === 'true' || value === '1'
    throw invalid(`${names[0]} is true or false`)
  }
  const unknown = [...fields.keys()].find((name) => !FIELDS.includes(name))
  if (unknown !== undefined) {
    throw invalid(`there is no ${JSON.stringify(unknown)} among ${FIELDS.join(', ')}`)
  }
  const target = field('target', 'destination', 'dst')
  if (!target?.startsWith('/')) throw invalid('target= is an absolute path inside')
  const readOnly = isOn('readonly', 'ro')
  const source = field('source', 'src')
  switch (field('type') ?? 'volume') {
    case 'bind': {
      const hostPath = source?.startsWith('.') ? resolve(source) : source
      if (!hostPath?.startsWith('/')) throw invalid('source= is an absolute path of the host')
      const propagation = field('bind-propagation')
      if (propagation !== undefined && !PROPAGATIONS.includes(propagation)) {
        throw invalid(`bind-propagation is one of ${PROPAGATIONS.join(', ')}`)
      }
      const volume = parseVolume(`${hostPath}:${target}${readOnly ? ':ro' : ''}`)
      return {
        ...NONE,
        volumes: [{ ...volume, mustExist: true, ...(propagation && { propagation }) }],
      }
    }
    case 'volume': {
      const copiesUp = !isOn('volume-nocopy')
      const mount = named(text, source, target, readOnly ? 'ro' : undefined)
      return {
        ...NONE,
        namedVolumes: mount.namedVolumes.map((volume) => ({ ...volume, copiesUp })),
      }
    }
    case 'tmpfs': {
      const [size, mode] = [field('tmpfs-size'), field('tmpfs-mode')]
      if (source !== undefined) throw invalid('a tmpfs has no source')
      if (mode !== undefined && !/^[0-7]{1,4}$/.test(mode)) {
        throw invalid('tmpfs-mode is octal, such as 1777')
      }
      const options = [
        ...(size === undefined ? [] : [`size=${parseBytes(size)}`]),
        ...(mode === undefined ? [] : [`mode=${mode}`]),
        ...(readOnly ? ['ro'] : []),
      ]
      return { ...NONE, tmpfs: [{ containerPath: placeOf(target), options }] }
    }
    default:
      throw invalid('type is bind, volume or tmpfs')
  }
}

/** The fields of a line of CSV (RFC 4180). @throws USAGE */
function splitQuoted(text: string): string[] {
  const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y
  const fields: string[] = []
  for (;;) {
    const match = field.exec(text)
    if (match === null) {
      const advice =
        'put them around a whole field, such as "source=/a,b", and write "" for one in it'
      throw new DrayError('USAGE', `invalid mount ${JSON.stringify(text)}: of quotes, ${advice}`)
    }
    fields.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '')
    if (match[3] === '') return fields
  }
}

const FIELDS = [
  'type source src target destination dst readonly ro bind-propagation volume-nocopy tmpfs-size tmpfs-mode consistency',
].flatMap((line) => line.split(' '))

/** Parses `CONTAINER[:OPTIONS]` of `--tmpfs`. @throws USAGE */
export function parseTmpfsFlag(text: string): WantedMounts {
  const colon = text.indexOf(':')
  const [path, options] = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)]
  const words = options === '' ? [] : options.split(',')
  return { ...NONE, tmpfs: [{ containerPath: placeOf(path), options: words.map(tmpfsOption) }] }
}

const ZONES = '/usr/share/zoneinfo'

/** A time zone by its name in the host's tzdata, or `local`: a file of the host at /etc/localtime. @throws USAGE */
export function parseTimeZone(text: string): WantedMounts {
  const path = text === 'local' ? '/etc/localtime' : normalPath(`${ZONES}/${text}`)
  const isZone = text === 'local' || isInside(path, ZONES)
  if (!isZone || !statSync(path, { throwIfNoEntry: false })?.isFile()) {
    const message = `the host knows no time zone ${JSON.stringify(text)}: write one as Europe/Berlin, a file below ${ZONES} (Debian's tzdata)`
    throw new DrayError('USAGE', message)
  }
  const place = { containerPath: '/etc/localtime', readOnly: true, mustExist: true }
  return { ...NONE, volumes: [{ hostPath: realpathSync(path), ...place }] }
}

function tmpfsOption(word: string): string {
  const size = /^size=(\d+[kmg]?)$/i.exec(word)?.[1]
  if (size !== undefined) return `size=${parseBytes(size)}`
  const known =
    /^(?:rw|ro|exec|noexec|suid|nosuid|dev|nodev|mode=[0-7]{3,4}|(?:uid|gid|nr_inodes)=\d+|size=\d+%)$/
  if (known.test(word)) return word
  throw new DrayError('USAGE', `invalid option ${JSON.stringify(word)} of a tmpfs`)
}

function placeOf(target: string): string {
  if (!target.startsWith('/')) {
    throw new DrayError('USAGE', `${JSON.stringify(target)} is no absolute path for a tmpfs`)
  }
  return normalPath(parseVolume(`/:${target}`).containerPath)
}

/** All that several flags ask for. */
export function mergeMounts(mounts: readonly WantedMounts[]): WantedMounts {
  return {
    volumes: mounts.flatMap((mount) => mount.volumes),
    namedVolumes: mounts.flatMap((mount) => mount.namedVolumes),
    tmpfs: mounts.flatMap((mount) => mount.tmpfs),
  }
}

function usage(text: string): DrayError {
  return new DrayError(
    'USAGE',
    `invalid volume ${JSON.stringify(text)}: write [/HOST/PATH:|NAME:]/CONTAINER/PATH[:ro]`,
  )
}
