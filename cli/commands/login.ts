import { homedir } from 'node:os'
import { text } from 'node:stream/consumers'
import { Command } from 'commander'
import { DrayError } from '#oci/error.ts'
import { parseRegistry } from '#oci/reference.ts'
import { interruptible } from '../interrupt.ts'
import { ignored, refused, withFlagsOfOthers } from '../flags-of-others.ts'
import { ask } from '../output/ask.ts'
import { print, say } from '../output/print.ts'
import { keptCredentials, registryAccess } from '../registry-access.ts'
import { type AccessOptions, withAccessOptions, withExamples } from './options.ts'

interface LoginOptions extends AccessOptions {
  readonly username?: string
  readonly password?: string
  readonly passwordStdin?: true
  readonly getLogin?: true
}

export function loginCommand(): Command {
  const command = new Command('login')
    .description('Keep credentials for a registry, once it has taken them')
    .argument('[registry]', 'host[:port]', 'docker.io')
    .option('-u, --username <name>', 'user name (default: asked for)')
    .option('-p, --password <password>', 'password, for everybody who can list processes to read')
    .option('--password-stdin', 'read the password from standard input')
    .option('--get-login', 'print the user name that is kept for the registry, and do nothing else')
  withFlagsOfOthers(
    command,
    ignored('-v, --verbose'),
    refused('--compat-auth-file <file>', "write --authfile <file>, which may be docker's, too"),
    refused('--secret <name>', 'write the password into a file, and --password-stdin < FILE'),
  )
  return withExamples(withAccessOptions(command), [
    ['dray login registry.example', 'asks for the user name and the password'],
    ['dray login --get-login registry.example', 'who am I there? exits with 1 if nobody'],
    ['echo "$TOKEN" | dray login -u ci --password-stdin registry.example', 'in CI'],
  ]).action(login)
}

async function login(registry: string, options: LoginOptions): Promise<void> {
  if (options.getLogin) return await printLogin(registry, options)
  const { authFiles, dockerConfigFile, keepCredential, logIn } = await import('#puller/index.ts')
  const host = parseRegistry(registry)
  const { username, password } = await namePassword(options)
  const access = await registryAccess(options, host)
  const { credential, isChecked } = await interruptible((signal) =>
    logIn(host, { kind: 'password', username, password }, { ...access, signal }),
  )
  const named = options.authfile ?? process.env.REGISTRY_AUTH_FILE
  const [file = ''] = named
    ? authFiles(process.env, { home: homedir(), named })
    : [dockerConfigFile(process.env, homedir())]
  const kept = await keepCredential(file, host, credential)
  if (!isChecked) say(`dray: ${host} asked for no credentials, so that nobody has checked these`)
  if ('file' in kept && credential.kind === 'password') {
    say(`dray: the password is in ${kept.file}, readable for you; a credential helper hides it`)
  }
  print(`logged in to ${host} as ${username}`)
}

async function printLogin(registry: string, options: LoginOptions): Promise<void> {
  const { TOKEN_USER } = await import('#puller/index.ts')
  const host = parseRegistry(registry)
  const credential = await (await keptCredentials(options.authfile))(host)
  if (credential === undefined)
    throw new DrayError('UNAUTHORIZED', `not logged in to ${host}: dray login ${host}`)
  print(credential.kind === 'password' ? credential.username : TOKEN_USER)
}

async function namePassword(options: LoginOptions) {
  const { passwordStdin } = options
  if (passwordStdin && options.password !== undefined) {
    throw new DrayError('USAGE', '--password and --password-stdin exclude each other')
  }
  if (passwordStdin && options.username === undefined) {
    throw new DrayError('USAGE', '--password-stdin needs --username')
  }
  const username = options.username ?? (await ask('Username: '))
  const password = passwordStdin
    ? (await text(process.stdin)).replace(/\r?\n$/, '')
    : (options.password ?? (await ask('Password: ', { isSecret: true })))
  if (username === '' || password === '') {
    throw new DrayError('USAGE', 'the user name and the password must not be empty')
  }
  if (username.includes(':')) throw new DrayError('USAGE', 'a user name has no colon')
  return { username, password }
}
