import { z } from 'zod'
import { errorMessage } from '#oci/error.ts'
import { parseRules, ruleSchema } from './rules.ts'
import { TOKEN_ALGORITHMS } from './tokens/keys.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** Printable ASCII without quotes: it stands in headers. */
const headerText = z.string().regex(/^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,200}$/)

/** Tokens that the registry issues itself. */
const tokenSchema = z.strictObject({
  /** Where clients get tokens; by default `/token` of the address that they use. */
  realm: z.url({ protocol: /^https?$/ }).optional(),
  service: headerText.default('dray'),
  issuer: headerText.default('dray'),
  lifetimeMs: z
    .int()
    .min(MINUTE_MS)
    .max(DAY_MS)
    .default(5 * MINUTE_MS),
  refreshLifetimeMs: z
    .int()
    .min(MINUTE_MS)
    .max(366 * DAY_MS)
    .default(30 * DAY_MS),
  /** Files of private keys, the first of which signs; without any the registry makes keys and keeps them. */
  keys: z.array(z.string().min(1)).default([]),
  algorithm: z.enum(TOKEN_ALGORITHMS).default('EdDSA'),
  rotateMs: z
    .int()
    .min(60 * MINUTE_MS)
    .max(3660 * DAY_MS)
    .default(30 * DAY_MS),
})

/** The section `auth` of the configuration. Without it everybody may do everything. */
export const authSchema = z
  .strictObject({
    htpasswd: z.string().min(1).optional(),
    groups: z.record(z.string().min(1), z.array(z.string().min(1))).default({}),
    rules: z.array(ruleSchema).max(1000).default([]),
    /** How clients are asked to log in: by tokens, which mix public and private repositories, or by a password each time. */
    challenge: z.enum(['bearer', 'basic']).default('bearer'),
    token: tokenSchema.prefault({}),
  })
  .superRefine(({ rules }, context) => {
    try {
      parseRules(rules)
    } catch (error) {
      context.addIssue({ code: 'custom', message: errorMessage(error), path: ['rules'] })
    }
  })

export type AuthConfig = z.output<typeof authSchema>
export type TokenConfig = AuthConfig['token']
