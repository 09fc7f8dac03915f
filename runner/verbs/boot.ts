import { errorMessage } from '#oci/error.ts'
import { isRunning, readState } from '../containers/state.ts'
import type { RunnerContext } from '../context.ts'
import type { ContainerRecord } from '../record.ts'
import { listSeen } from './list.ts'
import { startContainer } from './start.ts'
import { stopContainer } from './stop.ts'

/** A container that could not be started or stopped, and why. */
interface Failure {
  readonly name: string
  readonly reason: string
}

/**
 * Starts the containers whose policy is `always`, or `unless-stopped` and nobody stopped them, unless they run.
 *
 * @returns those that could not be started, and why
 */
export async function startAfterBoot(context: RunnerContext): Promise<Failure[]> {
  const failed: Failure[] = []
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

/**
 * Stops all containers that run, since the host goes down: each by its own signal and in its own time, all at once. What is to
 * run after the next boot stays so.
 *
 * @returns those that could not be stopped, and why
 */
export async function stopBeforeShutdown(root: string): Promise<Failure[]> {
  const failed: Failure[] = []
  const seen = await listSeen(root)
  await Promise.all(
    seen.map(async ({ container }) => {
      try {
        await stopContainer(root, container, { isHalt: true })
      } catch (error) {
        failed.push({ name: container.record.name, reason: errorMessage(error) })
      }
    }),
  )
  return failed
}

/** Whether a container is started after a boot. Pure. */
export function startsAtBoot({ options, phase }: ContainerRecord): boolean {
  if (phase.name === 'created' || phase.name === 'starting') return false
  const policy = options.restart?.name ?? 'no'
  return policy === 'always' || (policy === 'unless-stopped' && phase.stopRequested !== true)
}

/**
 * A systemd unit that runs a command after every boot, and another one before the host goes down.
 *
 * @param ofUser whether it is for an ordinary user's own systemd, which knows no targets of the system
 */
export function systemdUnit(
  commands: { readonly boot: readonly string[]; readonly halt: readonly string[] },
  ofUser = false,
): string {
  const after = 'Wants=network-online.target\nAfter=network-online.target local-fs.target\n'
  return `[Unit]
Description=Containers of Dray that start at boot
${ofUser ? '' : after}
[Service]
Type=oneshot
RemainAfterExit=yes
KillMode=none
ExecStart=${commands.boot.map(quoted).join(' ')}
ExecStop=${commands.halt.map(quoted).join(' ')}
TimeoutStopSec=300

[Install]
WantedBy=${ofUser ? 'default' : 'multi-user'}.target
`
}

/** systemd.service(5), "COMMAND LINES": % and $ have a meaning. */
function quoted(word: string): string {
  const text = word.replaceAll('%', '%%').replaceAll('$', '$$$$')
  return /^[\w%$/.:=-]+$/.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`
}
