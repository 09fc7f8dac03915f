import { Command } from 'commander'
import { hostPlatform } from '#oci/platform.ts'
import { formatTable } from '../output/format.ts'
import { print } from '../output/print.ts'
import { fillTemplate } from '../output/template.ts'
import { version } from '../version.ts'
import { withExamples } from './options.ts'

export function versionCommand(): Command {
  const command = new Command('version')
    .description('Show versions')
    .option('-f, --format <format>', 'json, or a Go template')
  return withExamples(command, [
    ['dray version', 'of this program, and of what it runs on'],
    ["dray version --format '{{.Client.Version}}'", 'one of them'],
  ]).action(showVersion)
}

function showVersion({ format }: { readonly format?: string }): void {
  const { os, architecture } = hostPlatform()
  const own = {
    Version: version(),
    NodeVersion: process.version,
    Os: os,
    Arch: architecture,
    OsArch: `${os}/${architecture}`,
  }
  // One program does what with docker a client asks of a server: scripts ask for the version of either.
  const facts = { ...own, Client: own, Server: own }
  if (format === undefined) {
    print(
      formatTable([
        ['Version:', own.Version],
        ['Node:', own.NodeVersion],
        ['OS/Arch:', own.OsArch],
      ]),
    )
  } else {
    print(format === 'json' ? JSON.stringify(facts, undefined, 2) : fillTemplate(format, facts))
  }
}
