import { Command } from 'commander'
import type { describeImage } from '#puller/index.ts'
import { formatSince, formatSize, shortDigest, shorten } from '../output/format.ts'
import { printRows, type Row } from '../output/rows.ts'
import { openLocalStore } from '../store.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface HistoryOptions extends StoreOptions {
  readonly trunc: boolean
  readonly quiet?: true
  readonly format?: string
}

const COLUMNS = [
  ['IMAGE', 'ID'],
  ['CREATED', 'CreatedSince'],
  ['CREATED BY', 'CreatedBy'],
  ['SIZE', 'Size'],
  ['COMMENT', 'Comment'],
] as const

const SHORT_COMMAND = 45 // docker

export function historyCommand(): Command {
  const command = new Command('history')
    .description('Show the steps that an image was made by, the last one first, and their layers')
    .argument('<image>', 'its name, digest or id, or the first digits of one')
    .option('--no-trunc', 'print digests and commands whole')
    .option('-q, --quiet', 'print digests only')
    .option('--format <format>', 'table, json (one object a line), or a Go template')
  return withExamples(withStoreOptions(command), [
    ['dray history app:1.2', 'what made it, and how large the layers are, compressed'],
    ["dray history --no-trunc --format '{{.Size}} {{.CreatedBy}}' app:1.2", 'whole commands'],
  ]).action(history)
}

async function history(name: string, options: HistoryOptions): Promise<void> {
  const { describeImage } = await import('#puller/index.ts')
  const image = await describeImage(await openLocalStore(options), name)
  const rows = rowsOf(image, { whole: !options.trunc, now: Date.now() })
  printRows(rows, { format: options.quiet ? '{{.ID}}' : options.format, columns: COLUMNS })
}

type Image = Awaited<ReturnType<typeof describeImage>>

/** The last step first. Layers that no step tells of have a line each, too. */
function rowsOf(
  { Id, History, Layers }: Image,
  { whole, now }: { readonly whole: boolean; readonly now: number },
): Row[] {
  const layers = Layers.values()
  const sizes = History.map(({ EmptyLayer }) => (EmptyLayer ? 0 : (layers.next().value?.Size ?? 0)))
  const steps = [
    ...History.map((step, at) => ({ ...step, Size: sizes[at] ?? 0 })),
    ...layers.map(({ Size }) => ({ Created: '', CreatedBy: '', Comment: '', Size })),
  ].reverse()
  return steps.map(({ Created, CreatedBy, Comment, Size }, at) => ({
    ID: at > 0 ? '<missing>' : whole ? Id : shortDigest(Id),
    CreatedAt: Created,
    CreatedSince: formatSince(Created, now),
    CreatedBy: whole ? onOneLine(CreatedBy) : shorten(onOneLine(CreatedBy), SHORT_COMMAND),
    Size: formatSize(Size),
    Comment: onOneLine(Comment),
  }))
}

/** An image may say anything, also what would move a terminal's cursor. */
function onOneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ')
}
