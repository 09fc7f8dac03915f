import type { RegistryConfig } from '../config.ts'
import { type CheckReport, type Finding, runChecks } from './findings.ts'

/**
 * Tries everything that a registry with this configuration will ask of its storage, and leaves nothing behind. What is
 * wrong is in the report; it doesn't throw.
 */
export async function checkRegistry(config: RegistryConfig): Promise<CheckReport> {
  if (config.s3 === undefined) {
    const { directoryChecks } = await import('../storage/files/check.ts')
    const findings = await runChecks(directoryChecks(config))
    return reportOf(config.dataDir, findings, 'any number of workers of this machine may share it')
  }
  const { s3 } = config
  const { openBench } = await import('../storage/s3/bench.ts')
  const { readChecks, writeChecks } = await import('../storage/s3/checks.ts')
  const bench = openBench(s3)
  try {
    const findings = await runChecks(config.readOnly ? readChecks(bench) : writeChecks(bench))
    const signs = findings.some(({ check, outcome }) => check === 'signed URLs' && outcome === 'ok')
    const mode = !signs
      ? 'clients get all bytes from the registry'
      : s3.redirect
        ? 'clients are sent to the bucket for blobs'
        : 'clients get all bytes from the registry; s3.redirect could send them to the bucket'
    return reportOf(
      `s3://${s3.bucket}/${s3.prefix}`,
      findings,
      `${mode}; any number of registries may share it`,
    )
  } finally {
    await bench.close()
  }
}

function reportOf(storage: string, findings: readonly Finding[], mode: string): CheckReport {
  const failed = findings.find(({ outcome }) => outcome === 'failed')
  return {
    storage,
    findings,
    isUsable: failed === undefined,
    says: failed === undefined ? `it can be used: ${mode}` : `it can't be used: ${failed.says}`,
  }
}
