import { Argument, Command, InvalidArgumentError } from 'commander'
import { parseRepositoryName } from '#oci/reference.ts'
import type { Action } from '#registry/index.ts'
import { checkCommand } from './registry-check.ts'
import { collect, withExamples } from './options.ts'

interface CanOptions {
  readonly config?: string
  readonly group: readonly string[]
  readonly claim: Readonly<Record<string, string>>
}

// Those of the registry, which is not loaded only to print a help text.
const ACTIONS = ['pull', 'push', 'overwrite', 'delete', 'list'] as const satisfies readonly Action[]

/** Commands for who runs a registry. */
export function registryCommand(): Command {
  return new Command('registry')
    .description('Questions about a registry: its storage, its rules')
    .addCommand(checkCommand())
    .addCommand(canCommand())
}

function canCommand(): Command {
  const command = new Command('can')
    .description(
      'Say whether the rules let somebody do something, and which one; the exit code is 0 or 1',
    )
    .argument(
      '<user>',
      'user name, or anonymous; of other sources than htpasswd: github:repo:acme/app',
    )
    .addArgument(new Argument('<action>', 'what they would do').choices(ACTIONS))
    .argument('<repository>', 'name of the repository')
    .option('--config <file>', 'config file of the registry (environment: DRAY_CONFIG)')
    .option(
      '--group <name>',
      'a group of the user, besides those of the config file (repeatable)',
      collect,
      [],
    )
    .option(
      '--claim <name=value>',
      'a claim of the token of the user (repeatable)',
      collectClaim,
      {},
    )
  return withExamples(command, [
    ['dray registry can alice push team/app', 'by the rules of DRAY_CONFIG'],
  ]).action(can)
}

async function can(
  user: string,
  action: Action,
  repository: string,
  options: CanOptions,
): Promise<void> {
  const { explain, loadConfig } = await import('#registry/index.ts')
  const { auth } = loadConfig({ env: process.env, path: options.config })
  const { isAllowed, why } = explain(auth, {
    ...{ user, action, repository: parseRepositoryName(repository) },
    groups: options.group,
    claims: options.claim,
  })
  process.stdout.write(`${isAllowed ? 'yes' : 'no'}: ${why}\n`)
  process.exitCode = isAllowed ? 0 : 1
}

function collectClaim(text: string, before: Readonly<Record<string, string>>) {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('write <name>=<value>.')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}
