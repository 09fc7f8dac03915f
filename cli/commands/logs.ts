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
}

export function logsCommand(): Command {
  const command = new Command('logs')
    .description('Show what a container has said, errors on standard error')
    .argument('<container>', 'name or id')
    .option('-f, --follow', 'go on until it ends')
    .option(
      '--since <time>',
      'only what came after: 2026-01-31T12:00:00, seconds since 1970, or 10m (ago)',
    )
    .option('--until <time>', 'only what came before')
    .option('-n, --tail <lines>', "only the last lines, or 'all'", tail)
    .option('-t, --timestamps', 'begin each line with its time')
  return withExamples(withStoreOptions(command), [
    ['dray logs -f --tail 20 web', 'the last 20 lines, and what comes'],
    ['dray logs --since 10m --timestamps web', 'the last ten minutes'],
  ]).action(logs)
}

async function logs(reference: string, options: LogsOptions): Promise<void> {
  const { containerLogs } = await import('#runner/verbs/logs.ts')
  const { parseMoment } = await import('#runner/log/time.ts')
  const { root } = runnerContext(options)
  const { since, until, tail, follow } = options
  const lines = containerLogs(root, await openContainer(root, reference), {
    since: since === undefined ? undefined : parseMoment(since),
    until: until === undefined ? undefined : parseMoment(until),
    tail: tail === 'all' ? undefined : tail,
    follow,
  })
  let isNewLine = true
  for await (const line of lines) {
    await writeTo(
      line.stream === 'stdout' ? process.stdout : process.stderr,
      textOf(line, options, isNewLine),
    )
    isNewLine = !line.isPartial
  }
}

function textOf(line: LogLine, options: LogsOptions, isNewLine: boolean): Buffer {
  const head = options.timestamps && isNewLine ? `${line.time} ` : ''
  return Buffer.concat([Buffer.from(head), line.text, Buffer.from(line.isPartial ? '' : '\n')])
}

/** Commander takes nothing for an empty text. */
function tail(text: string): number | 'all' {
  if (text === 'all' || /^-\d{1,9}$/.test(text)) return 'all' // as docker has it
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new InvalidArgumentError("write a number of lines, or 'all'")
}
