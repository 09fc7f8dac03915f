import { homedir } from 'node:os'
import { Command } from 'commander'
import { DrayError } from '#oci/error.ts'
import { parseRegistry } from '#oci/reference.ts'
import { refused, withFlagsOfOthers } from '../flags-of-others.ts'
import { print } from '../output/print.ts'
import { withExamples } from './options.ts'

interface LogoutOptions {
  readonly all?: true
  readonly authfile?: string
}

export function logoutCommand(): Command {
  const command = new Command('logout')
    .description('Forget the credentials for a registry')
    .argument('[registry]', 'host[:port] (default: docker.io)')
    .option('-a, --all', 'those for all registries')
    .option('--authfile <file>', "file of credentials (default: podman's and docker's)")
  withFlagsOfOthers(
    command,
    refused('--compat-auth-file <file>', "write --authfile <file>, which may be docker's, too"),
  )
  return withExamples(command, [
    ['dray logout registry.example', 'whatever logged in there'],
    ['dray logout --all', 'at the end of a job'],
  ]).action(logout)
}

async function logout(registry: string | undefined, options: LogoutOptions): Promise<void> {
  const { authFiles, forgetCredential, registriesIn } = await import('#puller/index.ts')
  if (options.all && registry !== undefined)
    throw new DrayError('USAGE', 'name a registry, or say --all for all of them')
  const files = authFiles(process.env, { home: homedir(), named: options.authfile })
  const hosts = options.all
    ? new Set((await Promise.all(files.map(registriesIn))).flat())
    : [parseRegistry(registry ?? 'docker.io')]
  let isKnown = false
  for (const host of hosts) {
    const forgotten: string[] = []
    for (const file of files) if (await forgetCredential(file, host)) forgotten.push(file)
    if (forgotten.length > 0) print(`logged out of ${host} (${forgotten.join(', ')})`)
    else if (!options.all) print(`not logged in to ${host}`)
    isKnown ||= forgotten.length > 0
  }
  if (options.all && !isKnown) print('not logged in to any registry')
}
