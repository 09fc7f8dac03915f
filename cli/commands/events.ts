import { Command } from 'commander'
import { runnerContext } from '../containers.ts'
import { interruptible } from '../interrupt.ts'
import { print } from '../output/print.ts'
import { fillTemplate } from '../output/template.ts'
import { collect, type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface EventsOptions extends StoreOptions {
  readonly since?: string
  readonly until?: string
  readonly filter: readonly string[]
  readonly format?: string
}

export function eventsCommand(): Command {
  const command = new Command('events')
    .description('Show what happens to containers, until it is interrupted')
    .option(
      '--since <time>',
      'begin in the past: 2026-01-31T12:00:00, seconds since 1970, or 10m (ago)',
    )
    .option('--until <time>', 'end then')
    .option(
      '-f, --filter <key=value>',
      'container, image, event, type or label (repeatable)',
      collect,
      [],
    )
    .option('--format <format>', 'json (one object a line), or a Go template')
  return withExamples(withStoreOptions(command), [
    ['dray events --filter event=die --filter event=oom', 'what ends from now on'],
    ['dray events --since 1h --until 0s --format json', 'the last hour'],
  ]).action(events)
}

async function events(options: EventsOptions): Promise<void> {
  const { readEvents } = await import('#runner/events/read.ts')
  const { parseMoment } = await import('#runner/log/time.ts')
  const { root } = runnerContext(options)
  const moment = (text: string | undefined) => (text === undefined ? undefined : parseMoment(text))
  await interruptible(async (signal) => {
    const range = { since: moment(options.since), until: moment(options.until), signal }
    for await (const event of readEvents(root, { ...range, filters: options.filter })) {
      if (options.format === undefined) print(textOf(event))
      else if (options.format === 'json') print(JSON.stringify(event))
      else print(fillTemplate(options.format, event))
    }
  })
}

/** As docker prints it. */
function textOf(event: {
  readonly timeNano: number
  readonly Type: string
  readonly Action: string
  readonly id: string
  readonly Actor: { readonly Attributes: Readonly<Record<string, string>> }
}): string {
  const time = new Date(event.timeNano / 1e6).toISOString().replace('Z', '000000Z')
  const facts = Object.entries(event.Actor.Attributes)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
  return `${time} ${event.Type} ${event.Action} ${event.id} (${facts.join(', ')})`
}
