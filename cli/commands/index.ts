import type { Command } from 'commander'
import type { Commands } from '../program.ts'

/** Every command. scripts/build.ts makes programs of some that have no other. */
export const COMMANDS: Commands = {
  serve: async (words) => {
    const command = (await import('./serve.ts')).serveCommand()
    return words.includes('serve') ? withRegistryOptions(command, command) : command
  },
  registry: async (words) => {
    const command = (await import('./registry.ts')).registryCommand()
    const check = command.commands.find((each) => each.name() === 'check')
    return words.includes('registry') ? withRegistryOptions(command, check) : command
  },
  import: async () => (await import('./import.ts')).importCommand(),
  push: async () => (await import('./push.ts')).pushCommand(),
  pull: async () => (await import('./pull.ts')).pullCommand(),
  copy: async () => (await import('./copy.ts')).copyCommand(),
  remote: async () => (await import('./remote.ts')).remoteCommand(),
  login: async () => (await import('./login.ts')).loginCommand(),
  logout: async () => (await import('./logout.ts')).logoutCommand(),
  images: async () => (await import('./images.ts')).imagesCommand(),
  history: async () => (await import('./history.ts')).historyCommand(),
  tag: async () => (await import('./tag.ts')).tagCommand(),
  save: async () => (await import('./save.ts')).saveCommand(),
  load: async () => (await import('./load.ts')).loadCommand(),
  rmi: async () => (await import('./rmi.ts')).rmiCommand(),
  run: async () => (await import('./run.ts')).runCommand(),
  create: async () => (await import('./create.ts')).createCommand(),
  start: async () => (await import('./start.ts')).startCommand(),
  stop: async () => (await import('./stop.ts')).stopCommand(),
  restart: async () => (await import('./restart.ts')).restartCommand(),
  kill: async () => (await import('./kill.ts')).killCommand(),
  pause: async () => (await import('./pause.ts')).pauseCommand(),
  unpause: async () => (await import('./unpause.ts')).unpauseCommand(),
  rm: async () => (await import('./rm.ts')).rmCommand(),
  ps: async () => (await import('./ps.ts')).psCommand(),
  events: async () => (await import('./events.ts')).eventsCommand(),
  logs: async () => (await import('./logs.ts')).logsCommand(),
  attach: async () => (await import('./attach.ts')).attachCommand(),
  wait: async () => (await import('./wait.ts')).waitCommand(),
  inspect: async () => (await import('./inspect.ts')).inspectCommand(),
  healthcheck: async () => (await import('./healthcheck.ts')).healthcheckCommand(),
  exec: async () => (await import('./exec.ts')).execCommand(),
  top: async () => (await import('./top.ts')).topCommand(),
  stats: async () => (await import('./stats.ts')).statsCommand(),
  port: async () => (await import('./port.ts')).portCommand(),
  update: async () => (await import('./update.ts')).updateCommand(),
  rename: async () => (await import('./rename.ts')).renameCommand(),
  cp: async () => (await import('./cp.ts')).cpCommand(),
  export: async () => (await import('./export.ts')).exportCommand(),
  commit: async () => (await import('./commit.ts')).commitCommand(),
  diff: async () => (await import('./diff.ts')).diffCommand(),
  container: async () => (await import('./container.ts')).containerCommand(),
  volume: async () => (await import('./volume.ts')).volumeCommand(),
  network: async () => (await import('./network.ts')).networkCommand(),
  image: async () => (await import('./image.ts')).imageCommand(),
  system: async () => (await import('./system.ts')).systemCommand(),
  completion: async () => (await import('./completion.ts')).completionCommand(),
  info: async () => (await import('./info.ts')).infoCommand(),
  version: async () => (await import('./version.ts')).versionCommand(),
  ended: async () => (await import('./ended.ts')).endedCommand(),
}

/** They come of the table of a registry's settings, which costs a tenth of a second. */
async function withRegistryOptions(
  command: Command,
  bearer: Command | undefined,
): Promise<Command> {
  const { addRegistryOptions } = await import('./registry-options.ts')
  if (bearer !== undefined) addRegistryOptions(bearer)
  return command
}
