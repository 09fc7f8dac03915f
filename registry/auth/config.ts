import { z } from 'zod'
import { check } from '#oci/schema.ts'
import { readHtpasswd } from './htpasswd.ts'
import { parseRules, ruleSchema } from './rules.ts'

/** The section `auth` of the configuration. Without it everybody may do everything. */
export const authSchema = z.strictObject({
  htpasswd: z.string().min(1).optional(),
  groups: z.record(z.string().min(1), z.array(z.string().min(1))).default({}),
  rules: z.array(ruleSchema).max(1000).default([]),
})

export type AuthConfig = z.output<typeof authSchema>

/** @throws CONFIG_INVALID, for patterns too */
export function parseAuth(document: unknown): AuthConfig {
  const config = check(authSchema, document, 'auth', 'CONFIG_INVALID')
  parseRules(config.rules)
  return config
}

/** Whether what the configuration names can be used. @throws CONFIG_INVALID */
export function checkAuthFiles(config: AuthConfig | undefined): void {
  if (config?.htpasswd !== undefined) readHtpasswd(config.htpasswd)
}
