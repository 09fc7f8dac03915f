import { type Command, Option } from 'commander'
import { DrayError } from '#oci/error.ts'

/** A flag of another program that changes nothing here. */
export function ignored(flags: string): Option {
  return new Option(flags).hideHelp()
}

/** A flag of another program that nobody needs here, with what to do in its place. */
export function refused(flags: string, advice: string): Option {
  const option = new Option(flags).hideHelp()
  // One without a value is parsed when it has a preset one.
  return option.preset('').argParser(() => {
    throw new DrayError('USAGE', `there is no ${option.long}: ${advice}`)
  })
}

/** Has a command know flags of docker, podman, skopeo and crane that it has no use for. */
export function withFlagsOfOthers(command: Command, ...options: readonly Option[]): Command {
  for (const option of options) command.addOption(option)
  return command
}

/** Of what asks a registry, and tries again by itself what may work later. */
export const RETRIES = [
  ignored('--retry <n>'),
  ignored('--retry-times <n>'),
  ignored('--retry-delay <time>'),
]

/** Of what sends an image as it is. */
export const SIGNING = [
  '--sign-by <key>',
  '--sign-by-sigstore <file>',
  '--sign-by-sigstore-private-key <file>',
  '--sign-by-sq-fingerprint <fingerprint>',
  '--sign-passphrase-file <file>',
].map((flags) => refused(flags, 'sign what was sent, by its digest: cosign sign NAME@DIGEST'))

/** Of encrypted layers. */
export const ENCRYPTION = [
  '--encryption-key <key>',
  '--encrypt-layer <n>',
  '--decryption-key <key>',
].map((flags) => refused(flags, 'layers are not encrypted or decrypted: skopeo copy does that'))
