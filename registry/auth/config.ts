import { z } from 'zod'
import { errorMessage } from '#oci/error.ts'
import { readHtpasswd } from './htpasswd.ts'
import { parseRules, ruleSchema } from './rules.ts'

/** The section `auth` of the configuration. Without it everybody may do everything. */
export const authSchema = z
  .strictObject({
    htpasswd: z.string().min(1).optional(),
    groups: z.record(z.string().min(1), z.array(z.string().min(1))).default({}),
    rules: z.array(ruleSchema).max(1000).default([]),
  })
  .superRefine(({ rules }, context) => {
    try {
      parseRules(rules)
    } catch (error) {
      context.addIssue({ code: 'custom', message: errorMessage(error), path: ['rules'] })
    }
  })

export type AuthConfig = z.output<typeof authSchema>

/** Whether what the configuration names can be used. @throws CONFIG_INVALID */
export function checkAuthFiles(config: AuthConfig | undefined): void {
  if (config?.htpasswd !== undefined) readHtpasswd(config.htpasswd)
}
