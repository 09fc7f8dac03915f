import { Command } from 'commander'
import { runnerContext } from '../containers.ts'
import { print, say } from '../output/print.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface PruneOptions extends StoreOptions {
  readonly volumes?: true
}

export function systemCommand(): Command {
  const command = new Command('system').description('Look after everything at once')
  command.addCommand(
    withExamples(
      withStoreOptions(
        new Command('prune')
          .description('Remove containers that do not run, and networks that no container is on')
          .option('--volumes', 'also volumes with made-up names that no container has'),
      ),
      [['dray system prune --volumes', 'all that nobody uses']],
    ).action(prune),
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
        new Command('unit').description('Print the systemd unit that starts containers at boot'),
      ),
      [['dray system unit > /etc/systemd/system/dray.service', 'then: systemctl enable dray']],
    ).action(unit),
  )
  return command
}

async function prune(options: PruneOptions): Promise<void> {
  const { pruneContainers, pruneNetworks, pruneVolumes } = await import('#runner/verbs/prune.ts')
  const { root } = runnerContext(options)
  const onTrouble = (message: string) => say(`dray: ${message}`)
  for (const id of await pruneContainers(root, onTrouble)) print(id)
  for (const name of await pruneNetworks(root, onTrouble)) print(name)
  if (!options.volumes) return
  for (const name of await pruneVolumes(root, onTrouble)) print(name)
}

async function boot(options: StoreOptions): Promise<void> {
  const { startAfterBoot } = await import('#runner/verbs/boot.ts')
  const failed = await startAfterBoot(runnerContext(options))
  for (const { name, reason } of failed) say(`dray: container ${name}: ${reason}`)
  if (failed.length > 0) process.exitCode = 1
}

async function unit(options: StoreOptions): Promise<void> {
  const { systemdUnit } = await import('#runner/verbs/boot.ts')
  const { root } = runnerContext(options)
  print(systemdUnit([process.execPath, process.argv[1] ?? '', 'system', 'boot', '--root', root]))
}
