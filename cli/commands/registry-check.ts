import { Command } from 'commander'
import type { CheckReport } from '#registry/check/findings.ts'
import { print } from '../output/print.ts'
import type { RegistryOptions } from './registry-options.ts'
import { withExamples } from './options.ts'

interface CheckOptions extends RegistryOptions {
  readonly json?: true
}

/** Without the options that every registry has, which take long to load. */
export function checkCommand(): Command {
  const command = new Command('check')
    .description(
      'Try all that a registry will ask of its directory or bucket; the exit code is 0 if it can be used',
    )
    .option('--json', 'print what was found as JSON')
  return withExamples(command, [
    ['dray registry check --data /srv/registry', 'before dray serve is started there'],
  ]).action(check)
}

async function check(options: CheckOptions): Promise<void> {
  const { loadConfig } = await import('#registry/config.ts')
  const { checkRegistry } = await import('#registry/check/check-registry.ts')
  const { flagsOf } = await import('./registry-options.ts')
  const config = loadConfig({ env: process.env, path: options.config, flags: flagsOf(options) })
  const report = await checkRegistry(config)
  print(options.json ? JSON.stringify(report) : formatReport(report))
  process.exitCode = report.isUsable ? 0 : 1
}

function formatReport({ storage, findings, says }: CheckReport): string {
  const width = Math.max(...findings.map(({ check }) => check.length))
  const lines = findings.map(
    ({ outcome, check, says }) => `${outcome.padEnd(6)}  ${check.padEnd(width)}  ${says}`,
  )
  return [...lines, '', `${storage}: ${says}`].join('\n')
}
