import { Command } from 'commander'
import { openContainer, runnerContext } from '../containers.ts'
import { confirm } from '../output/confirm.ts'
import { complain, print } from '../output/print.ts'
import { passing } from '../prune.ts'
import { attachCommand } from './attach.ts'
import { commitCommand } from './commit.ts'
import { cpCommand } from './cp.ts'
import { createCommand } from './create.ts'
import { diffCommand } from './diff.ts'
import { execCommand } from './exec.ts'
import { existsCommand } from './exists.ts'
import { exportCommand } from './export.ts'
import { inspectCommand } from './inspect.ts'
import { killCommand } from './kill.ts'
import { logsCommand } from './logs.ts'
import { type StoreOptions, withExamples, withPruneFilter, withStoreOptions } from './options.ts'
import { pauseCommand } from './pause.ts'
import { portCommand } from './port.ts'
import { psCommand } from './ps.ts'
import { renameCommand } from './rename.ts'
import { restartCommand } from './restart.ts'
import { rmCommand } from './rm.ts'
import { runCommand } from './run.ts'
import { startCommand } from './start.ts'
import { statsCommand } from './stats.ts'
import { stopCommand } from './stop.ts'
import { topCommand } from './top.ts'
import { unpauseCommand } from './unpause.ts'
import { updateCommand } from './update.ts'
import { waitCommand } from './wait.ts'

/** Names for verbs that docker and podman have here, too. */
const SAME: Readonly<Record<string, () => Command>> = {
  ls: psCommand,
  run: runCommand,
  create: createCommand,
  start: startCommand,
  stop: stopCommand,
  restart: restartCommand,
  kill: killCommand,
  pause: pauseCommand,
  unpause: unpauseCommand,
  rm: rmCommand,
  logs: logsCommand,
  attach: attachCommand,
  wait: waitCommand,
  inspect: inspectCommand,
  exec: execCommand,
  top: topCommand,
  stats: statsCommand,
  port: portCommand,
  update: updateCommand,
  rename: renameCommand,
  cp: cpCommand,
  export: exportCommand,
  commit: commitCommand,
  diff: diffCommand,
}

export function containerCommand(): Command {
  const command = new Command('container')
    .description(
      'Look after containers: prune, exists, and run, ps (ls), logs and the others by another name',
    )
    .enablePositionalOptions()
  command.addCommand(
    withExamples(
      withPruneFilter(
        withStoreOptions(
          new Command('prune')
            .description('Remove containers that do not run')
            .option('-f, --force', 'without asking'),
        ),
      ),
      [['dray container prune -f', 'and what they wrote']],
    ).action(prune),
  )
  command.addCommand(
    existsCommand({
      kind: 'container',
      called: 'name or id',
      example: 'dray container exists web || dray run -d --name web web:1',
      unknown: 'CONTAINER_UNKNOWN',
      find: (name, options) => openContainer(runnerContext(options).root, name),
    }),
  )
  for (const [name, verb] of Object.entries(SAME)) command.addCommand(verb().name(name))
  command.commands.find((each) => each.name() === 'ls')?.aliases(['list', 'ps'])
  return command
}

interface PruneOptions extends StoreOptions {
  readonly force?: true
  readonly filter: readonly string[]
}

async function prune(options: PruneOptions): Promise<void> {
  const what = `This removes all containers that do not run${passing(options)}.`
  if (!(await confirm(what, options.force))) return
  const { pruneContainers } = await import('#runner/verbs/prune.ts')
  const { root } = runnerContext(options)
  for (const id of await pruneContainers(root, complain, { filters: options.filter })) print(id)
}
