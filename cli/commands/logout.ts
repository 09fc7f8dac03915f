import { homedir } from 'node:os'
import { Command } from 'commander'
import { parseRegistry } from '#oci/reference.ts'
import { print } from '../output/print.ts'
import { withExamples } from './options.ts'

export function logoutCommand(): Command {
  const command = new Command('logout')
    .description('Forget the credentials for a registry')
    .argument('[registry]', 'host[:port]', 'docker.io')
    .option('--authfile <file>', "file of credentials (default: podman's and docker's)")
  return withExamples(command, [
    ['dray logout registry.example', 'whatever logged in there'],
  ]).action(logout)
}

async function logout(registry: string, options: { readonly authfile?: string }): Promise<void> {
  const { authFiles, forgetCredential } = await import('#puller/index.ts')
  const host = parseRegistry(registry)
  const files = authFiles(process.env, { home: homedir(), named: options.authfile })
  const forgotten: string[] = []
  for (const file of files) if (await forgetCredential(file, host)) forgotten.push(file)
  print(
    forgotten.length === 0
      ? `not logged in to ${host}`
      : `logged out of ${host} (${forgotten.join(', ')})`,
  )
}
