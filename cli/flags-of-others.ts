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
export function flagsOfAsking(): Option[] {
  return ['--retry <n>', '--retry-times <n>', '--retry-delay <time>'].map(ignored)
}

/** Of what brings images from a registry, or sends them to one. */
export function flagsOfMoving(): Option[] {
  const encryption = ['--encryption-key <key>', '--encrypt-layer <n>', '--decryption-key <key>']
  const advice = 'layers are not encrypted or decrypted: skopeo copy does that'
  return [...flagsOfAsking(), ...encryption.map((flags) => refused(flags, advice))]
}

const SIGNING = [
  '--sign-by <key>',
  '--sign-by-sigstore <file>',
  '--sign-by-sigstore-private-key <file>',
  '--sign-by-sq-fingerprint <fingerprint>',
  '--sign-passphrase-file <file>',
]

/** Of what sends images as they are, without their signatures unless told otherwise. */
export function flagsOfSending(): Option[] {
  const advice = 'sign what was sent, by its digest: cosign sign NAME@DIGEST'
  return [
    ...flagsOfMoving(),
    ...SIGNING.map((flags) => refused(flags, advice)),
    ignored('--remove-signatures'),
  ]
}
