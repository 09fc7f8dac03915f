import * as z from 'zod'

/** Signatures that are checked with a public key. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'ES256', 'ES384', 'EdDSA'] as const

const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]']

/** Where keys come from: over TLS, or from this machine. */
const trustedUrl = z
  .url({ protocol: /^https?$/ })
  .refine(
    (url) => url.startsWith('https:') || LOOPBACK.includes(new URL(url).hostname),
    'must be https',
  )

/** Printable ASCII without quotes: what stands in a header. */
export const headerText = z.string().regex(/^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,200}$/)

/** Where clients get tokens. */
export const realmUrl = z.url({ protocol: /^https?$/ }).regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/)

const algorithms = z
  .array(z.enum(ALGORITHMS))
  .min(1)
  .default([...ALGORITHMS])

/** Somebody whose tokens say who a workload is, such as GitHub Actions or a Kubernetes cluster. */
export const issuerSchema = z.strictObject({
  /** What its users begin with, and rules call it. */
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  /** Exactly what stands in the claim `iss`. */
  issuer: z.string().min(1),
  audience: z.string().min(1),
  /** Where its keys are; by default where its discovery document says. */
  jwksUrl: trustedUrl.optional(),
  /** File of its keys, for issuers that can't be reached. */
  keys: z.string().min(1).optional(),
  algorithms,
  /** Claim with the groups of the user. */
  groupsClaim: z.string().min(1).optional(),
})

/** A token server of one's own, which has rules of its own. */
export const tokenServerSchema = z.strictObject({
  realm: realmUrl,
  service: headerText,
  issuer: z.string().min(1),
  jwksUrl: trustedUrl.optional(),
  /** File of its public keys or certificates. */
  keys: z.string().min(1).optional(),
  algorithms,
})

export type IssuerConfig = z.output<typeof issuerSchema>
export type TokenServerConfig = z.output<typeof tokenServerSchema>

/** Why an issuer can't be used; undefined when it can. */
export function obstacleOf({
  issuer,
  jwksUrl,
  keys,
}: Pick<IssuerConfig, 'issuer' | 'jwksUrl' | 'keys'>): string | undefined {
  if (jwksUrl !== undefined && keys !== undefined) return 'name jwksUrl or keys, not both'
  if (jwksUrl !== undefined || keys !== undefined) return undefined
  return trustedUrl.safeParse(issuer).success
    ? undefined
    : 'the issuer must be an https address, or jwksUrl or keys must say where its keys are'
}
