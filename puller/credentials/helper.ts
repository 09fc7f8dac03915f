import { execFile } from 'node:child_process'
import * as z from 'zod'
import { DrayError, isErrno } from '#oci/error.ts'
import { type Credential, TOKEN_USER } from './credential.ts'
import { parseSecretJson } from './secret-json.ts'

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/
/** Some ask a person, or a cloud. */
const TIMEOUT_MS = 60_000
const OUTPUT_LIMIT = 1024 * 1024
/** What helpers say, by their common protocol, when they have nothing. */
const NOT_FOUND = /credentials not found/i

/** User names by server. */
const listSchema = z.record(z.string(), z.string())
const answerSchema = z.object({ Username: z.string(), Secret: z.string() })

/** A program `docker-credential-<name>` that keeps credentials elsewhere, as docker's clients call it. */
export interface CredentialHelper {
  /** Undefined when it has none for this server. @throws CONFIG_INVALID */
  get(server: string): Promise<Credential | undefined>
  /** @throws CONFIG_INVALID */
  store(server: string, credential: Credential): Promise<void>
  /** Success when it has none. @throws CONFIG_INVALID */
  erase(server: string): Promise<void>
  /** The servers that it has credentials of. @throws CONFIG_INVALID */
  list(): Promise<readonly string[]>
}

/** @throws CONFIG_INVALID when `name` can't be a helper's */
export function credentialHelper(name: string): CredentialHelper {
  if (!NAME.test(name)) {
    throw new DrayError(
      'CONFIG_INVALID',
      `${JSON.stringify(name)} is no name of a credential helper`,
    )
  }
  const program = `docker-credential-${name}`
  return {
    async get(server) {
      const output = await call(program, 'get', server)
      if (output === undefined) return undefined
      const { value } = parseSecretJson(output, answerSchema, `answer of ${program}`)
      return value.Username === TOKEN_USER
        ? { kind: 'identity-token', token: value.Secret }
        : { kind: 'password', username: value.Username, password: value.Secret }
    },
    async store(server, credential) {
      const [username, secret] =
        credential.kind === 'password'
          ? [credential.username, credential.password]
          : [TOKEN_USER, credential.token]
      const document = { ServerURL: server, Username: username, Secret: secret }
      await call(program, 'store', JSON.stringify(document))
    },
    async erase(server) {
      await call(program, 'erase', server)
    },
    async list() {
      const output = await call(program, 'list', '')
      if (output === undefined) return []
      const { value } = parseSecretJson(output, listSchema, `answer of ${program}`)
      return Object.keys(value)
    },
  }
}

/** What the helper printed; undefined when it says that it has nothing. Neither input nor output is ever shown. */
function call(program: string, verb: string, input: string): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const options = { encoding: 'buffer', timeout: TIMEOUT_MS, maxBuffer: OUTPUT_LIMIT } as const
    const child = execFile(program, [verb], options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout)
      if (NOT_FOUND.test(stdout.toString('latin1'))) return resolve(undefined)
      reject(failed(program, verb, error, stderr))
    })
    // A helper that doesn't read what it is given says why by its exit code.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}

function failed(program: string, verb: string, cause: Error, stderr: Buffer): DrayError {
  const said = stderr
    .toString('utf8')
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, 300)
  const why = isErrno(cause, 'ENOENT')
    ? 'it is not on the PATH: install it, or take it out of the file that names it'
    : said === ''
      ? 'it failed'
      : said
  // The cause holds the command line and all that was printed.
  return new DrayError('CONFIG_INVALID', `cannot ${verb} credentials with ${program}: ${why}`)
}
