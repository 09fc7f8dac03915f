import { errorMessage } from '#oci/error.ts'
import { isRunning, readState } from '../containers/state.ts'
import type { RunnerContext } from '../context.ts'
import type { ContainerRecord } from '../record.ts'
import { listSeen } from './list.ts'
import { startContainer } from './start.ts'

/**
 * Starts the containers whose policy is `always`, or `unless-stopped` and nobody stopped them, unless they run.
 *
 * @returns those that could not be started, and why
 */
export async function startAfterBoot(
  context: RunnerContext,
): Promise<{ readonly name: string; readonly reason: string }[]> {
  const failed: { name: string; reason: string }[] = []
  const seen = await listSeen(context.root, { all: true })
  // In the order that they were made in: what others need was made first.
  for (const { container } of seen.toReversed()) {
    if (isRunning(readState(container)) || !startsAtBoot(container.record)) continue
    try {
      await startContainer(container, context)
    } catch (error) {
      failed.push({ name: container.record.name, reason: errorMessage(error) })
    }
  }
  return failed
}

/** Whether a container is started after a boot. Pure. */
export function startsAtBoot({ options, phase }: ContainerRecord): boolean {
  if (phase.name === 'created' || phase.name === 'starting') return false
  const policy = options.restart?.name ?? 'no'
  return policy === 'always' || (policy === 'unless-stopped' && phase.stopRequested !== true)
}

/**
 * A systemd unit that runs a command once after every boot. What it starts isn't stopped with it.
 *
 * @param ofUser whether it is for an ordinary user's own systemd, which knows no targets of the system
 */
export function systemdUnit(command: readonly string[], ofUser = false): string {
  const after = 'Wants=network-online.target\nAfter=network-online.target local-fs.target\n'
  return `[Unit]
Description=Containers of Dray that start at boot
${ofUser ? '' : after}
[Service]
Type=oneshot
RemainAfterExit=yes
KillMode=none
ExecStart=${command.map(quoted).join(' ')}

[Install]
WantedBy=${ofUser ? 'default' : 'multi-user'}.target
`
}

/** systemd.service(5), "COMMAND LINES": % and $ have a meaning. */
function quoted(word: string): string {
  const text = word.replaceAll('%', '%%').replaceAll('$', '$$$$')
  return /^[\w%$/.:=-]+$/.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`
}
