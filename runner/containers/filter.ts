import { DrayError } from '#oci/error.ts'
import { formatReference, tryParseReference, withDefaultTag } from '#oci/reference.ts'
import { byLabel, type FilterTests, filterBy } from '../filters.ts'
import { attachmentsOf } from '../network/attachments.ts'
import type { Container, ContainerState } from './state.ts'

/** A container and what it is doing. */
export interface Seen {
  readonly container: Container
  readonly state: ContainerState
}

const testsAmong = (all: readonly Seen[]): FilterTests<Seen> => ({
  id: (value) => (seen) => seen.container.id.startsWith(value),
  name: (value) => {
    const pattern = regExp(value)
    return (seen) => pattern.test(seen.container.record.name)
  },
  label: byLabel(({ container }) => labelsOf(container)),
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
  before: (value) => {
    const { createdAt } = pick(value, all).container.record
    return (seen) => seen.container.record.createdAt < createdAt
  },
  since: (value) => {
    const { createdAt } = pick(value, all).container.record
    return (seen) => seen.container.record.createdAt > createdAt
  },
  volume: (value) => (seen) =>
    (seen.container.record.options.volumes ?? []).some(({ name, hostPath, containerPath }) =>
      [name, hostPath, containerPath].includes(value),
    ),
  network: (value) => (seen) => {
    const { options } = seen.container.record
    const names = attachmentsOf(options).map(({ name }) => name)
    return [options.network ?? 'none', ...names].includes(value)
  },
})

const STATUSES = ['created', 'starting', 'running', 'paused', 'exited', 'stopped']

const HEALTHS = ['starting', 'healthy', 'unhealthy', 'unknown', 'none']

/** The containers that pass filters. @throws USAGE */
export function filterContainers(all: readonly Seen[], filters: readonly string[]): Seen[] {
  return filterBy(all, filters, testsAmong(all))
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
