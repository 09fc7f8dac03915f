import { type Digest, digestAlgorithm, digestHex } from './digest.ts'
import { parseTag, type Tag } from './reference.ts'

const LONGEST_ENCODED = 64

/** The tag under which clients keep referrers where a registry doesn't (distribution-spec, "Referrers Tag Schema"). */
export function referrersTag(subject: Digest): Tag {
  return parseTag(`${digestAlgorithm(subject)}-${digestHex(subject).slice(0, LONGEST_ENCODED)}`)
}

/** The tags under which cosign keeps signatures, attestations and SBOMs of a manifest, which name no subject. */
export function cosignTags(subject: Digest): Tag[] {
  const stem = `${digestAlgorithm(subject)}-${digestHex(subject)}`
  return ['sig', 'att', 'sbom'].map((kind) => parseTag(`${stem}.${kind}`))
}

/** Whether a name, with or without its repository, is a tag of one of these two kinds. */
export function isReferrersTag(name: string): boolean {
  return /(?:^|:)sha(?:256|512)-(?:[0-9a-f]{64}|[0-9a-f]+\.(?:sig|att|sbom))$/.test(name)
}
