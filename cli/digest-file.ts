import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { Digest } from '#oci/digest.ts'
import { DrayError, errorMessage } from '#oci/error.ts'

export interface DigestFileOptions {
  readonly digestfile?: string
}

export function withDigestFile(command: Command): Command {
  return command.option('--digestfile <file>', 'write the digest to a file, once all is sent')
}

/** @throws USAGE for several images, whose digests are printed */
export function checkDigestFile({ digestfile }: DigestFileOptions, isForSeveral = false): void {
  if (digestfile === undefined || !isForSeveral) return
  throw new DrayError('USAGE', '--digestfile is for one image: -q prints the digest of each')
}

/** Writes nothing but the digest, as podman and skopeo do. @throws USAGE */
export async function writeDigest(
  { digestfile }: DigestFileOptions,
  digest: Digest,
): Promise<void> {
  if (digestfile === undefined) return
  try {
    await writeFile(digestfile, digest)
  } catch (cause) {
    const message = `it is sent, but its digest cannot be written to ${digestfile}: ${errorMessage(cause)}`
    throw new DrayError('USAGE', message, { cause })
  }
}
