import * as z from 'zod'
import { errorMessage } from '#oci/error.ts'
import {
  headerText,
  issuerSchema,
  obstacleOf,
  realmUrl,
  tokenServerSchema,
} from './external/config.ts'
import { parseRules, ruleSchema } from './rules.ts'
import { TOKEN_ALGORITHMS } from './tokens/keys.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** Sources whose users begin with these names. */
const RESERVED_NAMES = ['cert', 'token-server']

/** Tokens that the registry issues itself. */
const tokenSchema = z.strictObject({
  /** Where clients get tokens; by default `/token` of the address that they use. */
  realm: realmUrl.optional(),
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
    issuers: z.array(issuerSchema).max(100).default([]),
    /** Has clients get their tokens elsewhere; then it alone decides who may do what. */
    tokenServer: tokenServerSchema.optional(),
  })
  .superRefine(({ rules, issuers, token, tokenServer }, context) => {
    const refuse = (message: string, ...path: (string | number)[]) =>
      context.addIssue({ code: 'custom', message, path })
    try {
      parseRules(rules)
    } catch (error) {
      refuse(errorMessage(error), 'rules')
    }
    for (const [i, issuer] of issuers.entries()) {
      const obstacle = obstacleOf(issuer)
      if (obstacle !== undefined) refuse(obstacle, 'issuers', i)
    }
    const obstacle = tokenServer === undefined ? undefined : obstacleOf(tokenServer)
    if (obstacle !== undefined) refuse(obstacle, 'tokenServer')
    const servers = tokenServer === undefined ? [] : [tokenServer]
    const urls = [token, ...issuers, ...servers].map(({ issuer }) => issuer)
    const names = issuers.map(({ name }) => name)
    if (new Set(urls).size < urls.length || new Set(names).size < names.length) {
      refuse('every issuer must have a name and an issuer of its own', 'issuers')
    }
    if (names.some((name) => RESERVED_NAMES.includes(name))) {
      refuse(`no issuer may be called ${RESERVED_NAMES.join(' or ')}`, 'issuers')
    }
  })

export type AuthConfig = z.output<typeof authSchema>
export type TokenConfig = AuthConfig['token']
