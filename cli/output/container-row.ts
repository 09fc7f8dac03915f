import { attachmentsOf } from '#runner/network/attachments.ts'
import { formatPort } from '#runner/network/ports.ts'
import { publishedPorts } from '#runner/network/published.ts'
import { labelsOf, type Seen } from '#runner/containers/filter.ts'
import type { ContainerState } from '#runner/containers/state.ts'
import { commandLine } from '#runner/spec.ts'
import { formatAge, formatSince, shorten } from './format.ts'
import { labelIn, type Row } from './rows.ts'

const SHORT_ID = 12
const SHORT_COMMAND = 20

/** A container as `ps` shows it, in docker's words. */
export function containerRow(
  { container, state }: Seen,
  { whole, now }: { readonly whole: boolean; readonly now: number },
): Row {
  const { record, id } = container
  const words = commandLine(record.rootfs.config.config ?? {}, record.options)
  const command = words.join(' ')
  return {
    ID: whole ? id : id.slice(0, SHORT_ID),
    Image: record.image,
    Command: JSON.stringify(whole ? command : shorten(command, SHORT_COMMAND)),
    CreatedAt: record.createdAt,
    RunningFor: formatSince(record.createdAt, now),
    Status: statusText(state, now),
    State: state.status,
    Ports: publishedPorts(container.paths).map(formatPort).join(', '),
    Names: record.name,
    Label: labelIn(labelsOf(container)),
    Labels: Object.entries(labelsOf(container))
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    Mounts: (record.options.volumes ?? []).map(({ hostPath }) => hostPath).join(','),
    Networks:
      attachmentsOf(record.options)
        .map(({ name }) => name)
        .join(',') ||
      (record.options.network ?? 'none'),
    Pid: state.pid ?? 0,
  }
}

function statusText(state: ContainerState, now: number): string {
  const age = (time: string | undefined) => formatAge(now - Date.parse(time ?? ''))
  switch (state.status) {
    case 'created':
      return 'Created'
    case 'starting':
      return 'Starting'
    case 'running':
      return `Up ${age(state.startedAt)}${healthText(state)}`
    case 'paused':
      return `Up ${age(state.startedAt)} (Paused)`
    case 'exited':
      return `Exited (${state.exitCode ?? 'unknown'}) ${formatSince(state.finishedAt, now)}`
  }
}

function healthText({ health }: ContainerState): string {
  if (health === undefined) return ''
  const isKnown = health.status === 'healthy' || health.status === 'unhealthy'
  return isKnown ? ` (${health.status})` : ` (health: ${health.status})`
}
