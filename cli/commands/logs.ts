import { Command, InvalidArgumentError } from 'commander'
import type { LogLine } from '#runner/log/line.ts'
import { openContainer, runnerContext } from '../containers.ts'
import { writeTo } from '../output/print.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface LogsOptions extends StoreOptions {
  readonly follow?: true
  readonly since?: string
  readonly until?: string
  readonly tail?: number | 'all'
  readonly timestamps?: true
  readonly names?: true
}

export function logsCommand(): Command {
  const command = new Command('logs')
    .description('Show what containers have said, errors on standard error')
    .argument('<container...>', 'names or ids')
    .option('-f, --follow', 'go on until they end')
    .option(
      '--since <time>',
      'only what came after: 2026-01-31T12:00:00, seconds since 1970, or 10m (ago)',
    )
    .option('--until <time>', 'only what came before')
    .option('-n, --tail <lines>', "only the last lines, or 'all'", tail)
    .option('-t, --timestamps', 'begin each line with its time')
    .option('--names', 'begin each line with the name of its container')
  return withExamples(withStoreOptions(command), [
    ['dray logs -f --tail 20 web', 'the last 20 lines, and what comes'],
    ['dray logs --since 10m --timestamps web', 'the last ten minutes'],
    ['dray logs -f --names web db', 'of both, as it comes'],
  ]).action(logs)
}

async function logs(references: readonly string[], options: LogsOptions): Promise<void> {
  const { containerLogs } = await import('#runner/verbs/logs.ts')
  const { parseMoment } = await import('#runner/log/time.ts')
  const { root } = runnerContext(options)
  const { since, until, tail, follow } = options
  const wanted = {
    since: since === undefined ? undefined : parseMoment(since),
    until: until === undefined ? undefined : parseMoment(until),
    tail: tail === 'all' ? undefined : tail,
    follow,
  }
  const containers = await Promise.all(references.map((each) => openContainer(root, each)))
  const all = containers.map((container) => ({
    lines: containerLogs(root, container, wanted),
    name: options.names ? `${container.record.name} ` : '',
  }))
  if (follow) await Promise.all(all.map((each) => write(each, options)))
  else for (const each of all) await write(each, options)
}

interface NamedLog {
  readonly lines: AsyncIterable<LogLine>
  /** What lines begin with. */
  readonly name: string
}

async function write({ lines, name }: NamedLog, { timestamps }: LogsOptions): Promise<void> {
  let isNewLine = true
  for await (const { stream, time, text, isPartial } of lines) {
    const head = isNewLine ? `${name}${timestamps ? `${time} ` : ''}` : ''
    await writeTo(
      process[stream],
      Buffer.concat([Buffer.from(head), text, Buffer.from(isPartial ? '' : '\n')]),
    )
    isNewLine = !isPartial
  }
}

/** Commander takes nothing for an empty text. */
function tail(text: string): number | 'all' {
  if (text === 'all' || /^-\d{1,9}$/.test(text)) return 'all' // as docker has it
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new InvalidArgumentError("write a number of lines, or 'all'")
}
