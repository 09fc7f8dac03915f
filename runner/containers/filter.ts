import { DrayError } from '#oci/error.ts'
import { formatReference, tryParseReference, withDefaultTag } from '#oci/reference.ts'
import { labelTest, passesAll } from '../filters.ts'
import type { Container, ContainerState } from './state.ts'

/** A container and what it is doing. */
export interface Seen {
  readonly container: Container
  readonly state: ContainerState
}

type Test = (value: string, all: readonly Seen[]) => (seen: Seen) => boolean

const TESTS: Readonly<Record<string, Test>> = {
  id: (value) => (seen) => seen.container.id.startsWith(value),
  name: (value) => {
    const pattern = regExp(value)
    return (seen) => pattern.test(seen.container.record.name)
  },
  label: (value) => {
    const isIn = labelTest(value)
    return ({ container }) => isIn(labelsOf(container))
  },
  status: (value) => {
    if (!STATUSES.includes(value)) throw usage(`no such status ${value}: ${STATUSES.join(', ')}`)
    const wanted = value === 'stopped' ? 'exited' : value
    return ({ state }) => state.status === wanted
  },
  exited: (value) => (seen) =>
    seen.state.status === 'exited' && String(seen.state.exitCode ?? 'unknown') === value,
  health: (value) => {
    if (!HEALTHS.includes(value)) throw usage(`no such health ${value}: ${HEALTHS.join(', ')}`)
    return ({ state }) => (state.health?.status ?? 'none') === value
  },
  ancestor: (value) => (seen) => {
    const { image, rootfs } = seen.container.record
    return (
      fullName(image) === fullName(value) || hexOf(rootfs.manifestDigest).startsWith(hexOf(value))
    )
  },
  before: (value, all) => {
    const { createdAt } = pick(value, all).container.record
    return (seen) => seen.container.record.createdAt < createdAt
  },
  since: (value, all) => {
    const { createdAt } = pick(value, all).container.record
    return (seen) => seen.container.record.createdAt > createdAt
  },
  volume: (value) => (seen) =>
    (seen.container.record.options.volumes ?? []).some(({ hostPath, containerPath }) =>
      [hostPath, containerPath].includes(value),
    ),
}

const STATUSES = ['created', 'starting', 'running', 'paused', 'exited', 'stopped']

const HEALTHS = ['starting', 'healthy', 'unhealthy', 'unknown', 'none']

/** What a filter may be about. */
export const FILTER_KEYS = Object.keys(TESTS)

/**
 * The containers that pass docker's filters, `KEY=VALUE` each. Those with one key are alternatives, except labels; different
 * keys must all hold.
 *
 * @throws USAGE
 */
export function filterContainers(all: readonly Seen[], filters: readonly string[]): Seen[] {
  const tests = filters.map((filter) => {
    const [key, value] = splitFilter(filter)
    const test = TESTS[key]
    if (test === undefined) throw usage(`no such filter ${key}: ${FILTER_KEYS.join(', ')}`)
    return [key === 'label' ? filter : key, test(value, all)] as const
  })
  return all.filter(passesAll(tests))
}

/** Whether the filters ask for a state: then all containers are looked at, not only those that run. */
export function areAboutState(filters: readonly string[]): boolean {
  return filters.some((filter) => /^(?:status|exited)=/.test(filter))
}

/** Labels of the image and of the options, which win. */
export function labelsOf({ record }: Pick<Container, 'record'>): Readonly<Record<string, string>> {
  return { ...record.rootfs.config.config?.Labels, ...record.options.labels }
}

function hexOf(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1)
}

function fullName(image: string): string {
  const reference = tryParseReference(image)
  return reference === undefined ? image : formatReference(withDefaultTag(reference))
}

function pick(reference: string, all: readonly Seen[]): Seen {
  const found = all.find(
    ({ container }) => container.record.name === reference || container.id.startsWith(reference),
  )
  if (found !== undefined) return found
  throw new DrayError('CONTAINER_UNKNOWN', `no container is called ${JSON.stringify(reference)}`)
}

function splitFilter(filter: string): [string, string] {
  const equals = filter.indexOf('=')
  if (equals > 0) return [filter.slice(0, equals), filter.slice(equals + 1)]
  throw usage(`invalid filter ${JSON.stringify(filter)}: write KEY=VALUE`)
}

function regExp(text: string): RegExp {
  try {
    return new RegExp(text)
  } catch (cause) {
    throw new DrayError('USAGE', `invalid pattern ${JSON.stringify(text)}`, { cause })
  }
}

function usage(message: string): DrayError {
  return new DrayError('USAGE', message)
}
