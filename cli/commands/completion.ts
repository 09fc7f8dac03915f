import { Argument, Command } from 'commander'
import { completionScript, completionsOf, SHELLS, type Shell } from '../completion.ts'
import { print } from '../output/print.ts'
import { withExamples } from './options.ts'

export function completionCommand(): Command {
  const command = new Command('completion')
    .description('Print what teaches a shell the words and names that may be typed')
    .addArgument(new Argument('<shell>', 'which').choices(SHELLS))
  return withExamples(command, [
    ['dray completion bash > /etc/bash_completion.d/dray', 'for bash'],
    ['dray completion zsh > /usr/share/zsh/vendor-completions/_dray', 'for zsh'],
    ['dray completion fish > ~/.config/fish/completions/dray.fish', 'for fish'],
  ]).action(completion)
}

async function completion(shell: Shell): Promise<void> {
  const { COMMANDS } = await import('./index.ts')
  const program = new Command('dray').enablePositionalOptions()
  for (const [name, load] of Object.entries(COMMANDS)) program.addCommand(await load([name]))
  print(completionScript(shell, completionsOf(program)))
}
