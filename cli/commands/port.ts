import { Command } from 'commander'
import { DrayError } from '#oci/error.ts'
import type { Container } from '#runner/containers/state.ts'
import { namedOrAll, openContainer, runnerContext } from '../containers.ts'
import { print } from '../output/print.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

export function portCommand(): Command {
  const command = new Command('port')
    .description('Show which ports of the host lead to a container')
    .argument('[container]', 'name or id')
    .argument('[port]', 'only where this port inside is published: 80 or 53/udp')
    .option('-a, --all', 'of all containers that run, with their ids')
  return withExamples(withStoreOptions(command), [
    ['dray port web', '80/tcp -> 0.0.0.0:8080'],
    ['dray port web 80', '0.0.0.0:8080'],
  ]).action(port)
}

interface PortOptions extends StoreOptions {
  readonly all?: true
}

async function port(
  reference: string | undefined,
  wanted: string | undefined,
  options: PortOptions,
): Promise<void> {
  const { root } = runnerContext(options)
  const named = reference === undefined ? [] : [reference]
  for (const each of await namedOrAll(root, named, options, 'that run')) {
    const container = await openContainer(root, each)
    if (options.all) await printPorts(container, `${container.id.slice(0, 12)}\t`)
    else if (wanted === undefined) await printPorts(container)
    else await printPort(container, wanted)
  }
}

async function linesOf({ paths }: Container) {
  const { formatOutside } = await import('#runner/network/ports.ts')
  const { publishedPorts } = await import('#runner/network/published.ts')
  return publishedPorts(paths).map((mapping) => ({
    inside: `${mapping.containerPort}/${mapping.protocol}`,
    outside: formatOutside(mapping),
  }))
}

async function printPorts(container: Container, prefix = ''): Promise<void> {
  for (const { inside, outside } of await linesOf(container)) {
    print(`${prefix}${inside} -> ${outside}`)
  }
}

async function printPort(container: Container, wanted: string): Promise<void> {
  const port = wanted.includes('/') ? wanted : `${wanted}/tcp`
  const found = (await linesOf(container)).filter(({ inside }) => inside === port)
  if (found.length === 0) {
    throw new DrayError('USAGE', `container ${container.record.name} publishes no port ${port}`)
  }
  for (const { outside } of found) print(outside)
}
