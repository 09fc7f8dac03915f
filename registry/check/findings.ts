import { errorMessage } from '#oci/error.ts'

/** One thing that a storage must be able to do, or that is good to know. */
export interface Check {
  readonly name: string
  /** Whether a registry can't do without. */
  readonly isNeeded: boolean
  /** Returns what was seen. Throws what is wrong, in words that say what to change. */
  run(): Promise<string>
}

/** `no`: it can't, and need not. `failed`: it can't, and must. */
export interface Finding {
  readonly check: string
  readonly outcome: 'ok' | 'no' | 'failed'
  readonly says: string
}

export interface CheckReport {
  readonly storage: string
  readonly findings: readonly Finding[]
  readonly isUsable: boolean
  /** What follows of it, in a sentence or two. */
  readonly says: string
}

/** Runs checks one after the other; without the first one there is no point in the others. */
export async function runChecks(checks: readonly Check[]): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const [place, check] of checks.entries()) {
    const finding = await runCheck(check)
    findings.push(finding)
    if (place === 0 && finding.outcome === 'failed') break
  }
  return findings
}

async function runCheck({ name, isNeeded, run }: Check): Promise<Finding> {
  try {
    return { check: name, outcome: 'ok', says: await run() }
  } catch (error) {
    return { check: name, outcome: isNeeded ? 'failed' : 'no', says: errorMessage(error) }
  }
}
