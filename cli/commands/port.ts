import { Command } from 'commander'
import { DrayError } from '#oci/error.ts'
import { openContainer, runnerContext } from '../containers.ts'
import { print } from '../output/print.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

export function portCommand(): Command {
  const command = new Command('port')
    .description('Show which ports of the host lead to a container')
    .argument('<container>', 'name or id')
    .argument('[port]', 'only where this port inside is published: 80 or 53/udp')
  return withExamples(withStoreOptions(command), [
    ['dray port web', '80/tcp -> 0.0.0.0:8080'],
    ['dray port web 80', '0.0.0.0:8080'],
  ]).action(port)
}

async function port(
  reference: string,
  wanted: string | undefined,
  options: StoreOptions,
): Promise<void> {
  const { formatOutside } = await import('#runner/network/ports.ts')
  const { publishedPorts } = await import('#runner/network/published.ts')
  const { root } = runnerContext(options)
  const { paths, record } = await openContainer(root, reference)
  const ports = publishedPorts(paths)
  const inside = wanted === undefined || wanted.includes('/') ? wanted : `${wanted}/tcp`
  const lines = ports.map((mapping) => ({
    inside: `${mapping.containerPort}/${mapping.protocol}`,
    outside: formatOutside(mapping),
  }))
  if (inside === undefined) {
    for (const line of lines) print(`${line.inside} -> ${line.outside}`)
    return
  }
  const found = lines.filter((line) => line.inside === inside)
  if (found.length === 0) {
    throw new DrayError('USAGE', `container ${record.name} publishes no port ${inside}`)
  }
  for (const { outside } of found) print(outside)
}
