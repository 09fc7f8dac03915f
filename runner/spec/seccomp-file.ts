import * as z from 'zod'
import { check } from '#oci/schema.ts'
import type { Seccomp, SeccompRule } from '#oci/runtime-spec.ts'
import { isKernelAtLeast } from '../host-facts.ts'

const condition = z.object({
  caps: z.array(z.string()).optional(),
  arches: z.array(z.string()).optional(),
  minKernel: z.string().optional(),
})

/** A profile in docker's form, of which the runtime spec's is a part. */
const schema = z.object({
  defaultAction: z.string(),
  defaultErrnoRet: z.number().optional(),
  architectures: z.array(z.string()).optional(),
  archMap: z
    .array(z.object({ architecture: z.string(), subArchitectures: z.array(z.string()).nullish() }))
    .optional(),
  syscalls: z
    .array(
      z.object({
        name: z.string().optional(),
        names: z.array(z.string()).optional(),
        action: z.string(),
        errnoRet: z.number().optional(),
        args: z
          .array(
            z.object({
              index: z.number(),
              value: z.number(),
              valueTwo: z.number().optional(),
              op: z.string(),
            }),
          )
          .nullish(),
        includes: condition.optional(),
        excludes: condition.optional(),
      }),
    )
    .nullish(),
})

type Profile = z.infer<typeof schema>
type Rule = NonNullable<Profile['syscalls']>[number]

/** Names of architectures in docker's conditions. */
const ARCHES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }
const NATIVE: Readonly<Record<string, string>> = {
  x64: 'SCMP_ARCH_X86_64',
  arm64: 'SCMP_ARCH_AARCH64',
}

/**
 * Reads a seccomp profile, docker's form or the runtime spec's. Rules for capabilities hold for none: they are for what is
 * run with more than the default ones.
 *
 * @throws USAGE
 */
export function parseSeccompProfile(value: unknown, arch: string = process.arch): Seccomp {
  const profile = check(schema, value, 'seccomp profile', 'USAGE')
  const native = NATIVE[arch] ?? ''
  const mapped = profile.archMap?.find(({ architecture }) => architecture === native)
  const architectures = mapped
    ? [mapped.architecture, ...(mapped.subArchitectures ?? [])]
    : (profile.architectures ?? [native])
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet !== undefined && { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures,
    syscalls: (profile.syscalls ?? []).filter((rule) => holds(rule, arch)).map(ruleOf),
  } as Seccomp
}

function holds({ includes, excludes }: Rule, arch: string): boolean {
  const name = ARCHES[arch] ?? arch
  const [major = 0, minor = 0] = (includes?.minKernel ?? '').split('.').map(Number)
  return (
    !includes?.caps?.length &&
    (!includes?.arches?.length || includes.arches.includes(name)) &&
    !excludes?.arches?.includes(name) &&
    isKernelAtLeast(major, minor)
  )
}

function ruleOf(rule: Rule): SeccompRule {
  const names = [...(rule.names ?? []), ...(rule.name === undefined ? [] : [rule.name])]
  return {
    names,
    action: rule.action,
    ...(rule.errnoRet !== undefined && { errnoRet: rule.errnoRet }),
    ...(rule.args?.length && { args: rule.args }),
  } as SeccompRule
}
