import { Command } from 'commander'
import { DrayError } from '#oci/error.ts'
import { isInUserNamespace } from '#oci/user-namespace.ts'
import { runnerContext } from '../containers.ts'
import { interruptible } from '../interrupt.ts'
import { unmountUnusedLayers } from '../layers.ts'
import { confirm } from '../output/confirm.ts'
import { complain, print, say } from '../output/print.ts'
import { passing, printReclaimed, printRemoved, pruneStore } from '../prune.ts'
import { registryAccess } from '../registry-access.ts'
import { programFor } from '../self.ts'
import { openLocalStore } from '../store.ts'
import { dfCommand } from './df.ts'
import { infoCommand } from './info.ts'
import {
  type AccessOptions,
  type StoreOptions,
  withAccessOptions,
  withExamples,
  withPruneFilter,
  withStoreOptions,
} from './options.ts'

interface PruneOptions extends StoreOptions {
  readonly all?: true
  readonly volumes?: true
  readonly filter: readonly string[]
  readonly force?: true
}

interface CheckOptions extends StoreOptions, AccessOptions {
  readonly repair?: true
  readonly full?: true
}

export function systemCommand(): Command {
  const command = new Command('system').description(
    'Look after the whole store: its size, what nobody uses, damage, and starts at boot',
  )
  command.addCommand(
    withExamples(
      withPruneFilter(
        withStoreOptions(
          new Command('prune')
            .description(
              'Remove containers that do not run, networks and images without a name that no container uses, and what pulls left',
            )
            .option('-a, --all', 'also images with a name that no container uses')
            .option('--volumes', 'also volumes with made-up names that no container has')
            .option('-f, --force', 'without asking'),
        ),
      ),
      [['dray system prune -af --volumes', 'all that nobody uses']],
    ).action(prune),
  )
  command.addCommand(dfCommand())
  command.addCommand(
    withExamples(
      withAccessOptions(
        withStoreOptions(new Command('check'))
          .description('Verify every blob and every unpacked layer that an image needs')
          .option('--repair', 'fetch again what is damaged, and nothing else')
          .option('--full', 'read also layers that fs-verity vouches for'),
      ),
      [
        ['dray system check', 'prints what is damaged; exits with 1 if anything is'],
        ['dray system check --repair', 'from where the images were pulled'],
      ],
    ).action(check),
  )
  command.addCommand(
    withExamples(
      withStoreOptions(
        new Command('boot').description(
          'Start the containers whose policy says so, after a boot of the host',
        ),
      ),
      [['dray system boot', 'what the unit of dray system unit runs']],
    ).action(boot),
  )
  command.addCommand(
    withExamples(
      withStoreOptions(
        new Command('halt').description(
          'Stop all containers before the host goes down; what is to run after a boot stays so',
        ),
      ),
      [['dray system halt', 'what the unit of dray system unit runs at shutdown']],
    ).action(halt),
  )
  command.addCommand(
    withExamples(
      withStoreOptions(
        new Command('unit').description(
          'Print the systemd unit that starts containers at boot, and stops them at shutdown',
        ),
      ),
      [['dray system unit > /etc/systemd/system/dray.service', 'then: systemctl enable dray']],
    ).action(unit),
  )
  command.addCommand(infoCommand())
  return command
}

async function check(options: CheckOptions): Promise<void> {
  const { checkStore } = await import('#puller/index.ts')
  const access = await registryAccess(options)
  const store = await openLocalStore(options)
  const { repair, full } = options
  const vouched: string[] = []
  const onVouched = (diffId: string) => vouched.push(diffId)
  const found = await interruptible((signal) =>
    checkStore(store, { ...access, repair, full, onVouched, signal }),
  )
  for (const { kind, digest, image, why, isRepaired, failure } of found) {
    const whose = image === undefined ? '' : ` of ${image}`
    const outcome = failure === undefined ? '' : `; cannot be fetched: ${failure}`
    print(`${kind} ${digest}${whose}: ${why}${isRepaired ? '; repaired' : outcome}`)
  }
  if (vouched.length > 0)
    say(
      `fs-verity vouches for ${vouched.length} layers, which were not read; --full reads them too`,
    )
  if (found.some(({ isRepaired }) => !isRepaired)) process.exitCode = 1
}

async function prune(options: PruneOptions): Promise<void> {
  const what = [
    'all containers that do not run',
    'all networks that no container uses',
    ...(options.volumes ? ['all volumes with made-up names that no container has'] : []),
    options.all ? 'all images that no container uses' : 'all images without a name',
    'what pulls left unfinished',
  ]
  const { filter: filters } = options
  if (options.volumes && filters.some((each) => each.startsWith('until=')))
    throw new DrayError('USAGE', 'volumes cannot be chosen by until: leave out --volumes, or that')
  const only = filters.length === 0 ? '' : `\n  of these, those${passing(options)}`
  if (!(await confirm(`This removes:\n  - ${what.join('\n  - ')}${only}`, options.force))) return
  const store = await openLocalStore(options)
  const { pruneContainers, pruneNetworks, pruneVolumes } = await import('#runner/verbs/prune.ts')
  const { root } = runnerContext(options)
  await printReclaimed(store, options, async () => {
    printRemoved('Containers', await pruneContainers(root, complain, { filters }))
    printRemoved('Networks', await pruneNetworks(root, complain, { filters }))
    if (options.volumes) printRemoved('Volumes', await pruneVolumes(root, complain, { filters }))
    await pruneStore(store, options)
  })
}

async function boot(options: StoreOptions): Promise<void> {
  const { startAfterBoot } = await import('#runner/verbs/boot.ts')
  tellFailures(await startAfterBoot(runnerContext(options)))
}

async function halt(options: StoreOptions): Promise<void> {
  const { stopBeforeShutdown } = await import('#runner/verbs/boot.ts')
  const { root } = runnerContext(options)
  tellFailures(await stopBeforeShutdown(root))
  await unmountUnusedLayers(root)
}

function tellFailures(failed: readonly { readonly name: string; readonly reason: string }[]): void {
  for (const { name, reason } of failed) say(`dray: container ${name}: ${reason}`)
  if (failed.length > 0) process.exitCode = 1
}

async function unit(options: StoreOptions): Promise<void> {
  const { systemdUnit } = await import('#runner/verbs/boot.ts')
  const { root } = runnerContext(options)
  const command = (verb: string) => [...programFor('system'), 'system', verb, '--root', root]
  print(systemdUnit({ boot: command('boot'), halt: command('halt') }, isInUserNamespace()))
}
