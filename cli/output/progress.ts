import type { ProgressEvent } from '#puller/index.ts'
import { formatDuration, formatSize, shortDigest } from './format.ts'

/** How progress is shown: redrawn lines on a terminal, a line a change, one JSON object a line, or not at all. */
export type ProgressMode = 'auto' | 'tty' | 'plain' | 'json' | 'none'

export const PROGRESS_MODES: readonly ProgressMode[] = ['auto', 'tty', 'plain', 'json', 'none']

export interface ProgressView {
  show(event: ProgressEvent): void
  /** Draws what is left to draw. Call it once, before anything else is printed. */
  end(): void
}

export interface ProgressStream {
  readonly isTTY?: boolean | undefined
  /** 0 where nobody knows. */
  readonly columns?: number | undefined
  readonly rows?: number | undefined
  write(text: string): unknown
}

type BlobEvent = ProgressEvent & { readonly type: 'blob' }

const REDRAW_MS = 100
const BAR_WIDTH = 24

/** `auto` is `tty` on a terminal, `plain` elsewhere. */
export function createProgressView(mode: ProgressMode, stream: ProgressStream): ProgressView {
  const chosen = mode === 'auto' ? (stream.isTTY === true ? 'tty' : 'plain') : mode
  if (chosen === 'json')
    return { show: (event) => stream.write(`${JSON.stringify(event)}\n`), end: nothing }
  if (chosen === 'plain') return plainView(stream)
  if (chosen === 'tty') return terminalView(stream)
  return { show: nothing, end: nothing }
}

function nothing(): void {}

const WORDS: Readonly<Record<BlobEvent['state'], string>> = {
  waiting: 'waiting',
  transferring: 'transferring',
  finishing: 'unpacking',
  done: 'done',
  exists: 'already there',
}

function plainView(stream: ProgressStream): ProgressView {
  return {
    show(event) {
      if (event.type === 'resolved') stream.write(`${headline(event)}\n`)
      if (event.type === 'warning') stream.write(`warning: ${event.message}\n`)
      if (event.type === 'saving') stream.write('saving\n')
      if (event.type === 'blob' && (event.state === 'done' || event.state === 'exists')) {
        stream.write(
          `${event.kind} ${shortDigest(event.digest)} ${WORDS[event.state]} ${formatSize(event.total)}\n`,
        )
      }
    },
    end: nothing,
  }
}

function terminalView(stream: ProgressStream): ProgressView {
  const blobs = new Map<string, BlobEvent>()
  const started = performance.now()
  let atStart: number | undefined
  let drawn = 0
  let isSaving = false
  let timer: NodeJS.Timeout | undefined

  /** @param room how many lines of blobs there may be: the cursor gets back to no line that has left the screen */
  const draw = (room = Math.max(1, (stream.rows || 24) - 2)) => {
    timer = undefined
    const width = Math.max(1, (stream.columns || 80) - 1)
    const lines = fitting([...blobs.values()], room).map(blobLine)
    if (blobs.size > 0) {
      const ms = performance.now() - started
      lines.push(totalLine([...blobs.values()], { atStart: atStart ?? 0, ms, isSaving }))
    }
    const up = drawn === 0 ? '' : `\x1b[${drawn}A`
    stream.write(`${up}\x1b[J${lines.map((line) => `${line.slice(0, width)}\n`).join('')}`)
    drawn = lines.length
  }
  return {
    show(event) {
      if (event.type === 'resolved') stream.write(`${headline(event)}\n`)
      if (event.type === 'warning') stream.write(`warning: ${event.message}\n`)
      if (event.type === 'saving') isSaving = true
      if (event.type === 'blob') {
        blobs.set(event.digest, event)
        // What an earlier pull left counts for nothing in the rate.
        if (event.state === 'transferring')
          atStart ??= sum([...blobs.values()], ({ bytes }) => bytes)
      }
      timer ??= setTimeout(() => draw(), REDRAW_MS)
    },
    end() {
      clearTimeout(timer)
      isSaving = false
      if (blobs.size > 0) draw(Number.POSITIVE_INFINITY)
    },
  }
}

/** Of more blobs than there is room for, those that are under way, then those that wait. */
function fitting(blobs: readonly BlobEvent[], room: number): readonly BlobEvent[] {
  if (blobs.length <= room) return blobs
  const isWaiting = ({ state }: BlobEvent) => state === 'waiting'
  const left = blobs.filter((event) => !isHere(event))
  return [...left.filter((event) => !isWaiting(event)), ...left.filter(isWaiting)].slice(0, room)
}

function isHere({ state }: BlobEvent): boolean {
  return state === 'done' || state === 'exists'
}

function headline(event: ProgressEvent & { readonly type: 'resolved' }): string {
  const platform = event.platform === undefined ? '' : ` for ${event.platform}`
  return `${event.reference}${platform} ${event.digest}`
}

function blobLine(event: BlobEvent): string {
  const name = `${event.kind} ${shortDigest(event.digest)}`
  if (event.state !== 'transferring')
    return `${name}  ${WORDS[event.state].padEnd(BAR_WIDTH + 2)}  ${formatSize(event.total)}`
  const share = event.total === 0 ? 1 : event.bytes / event.total
  const filled = Math.floor(share * BAR_WIDTH)
  const bar = `${'='.repeat(filled)}${filled < BAR_WIDTH ? '>' : ''}`.padEnd(BAR_WIDTH)
  return `${name}  [${bar}]  ${formatSize(event.bytes)}/${formatSize(event.total)}`
}

interface Progress {
  /** Bytes that were there before. */
  readonly atStart: number
  readonly ms: number
  readonly isSaving: boolean
}

function totalLine(blobs: readonly BlobEvent[], { atStart, ms, isSaving }: Progress): string {
  const total = sum(blobs, (event) => event.total)
  const bytes = sum(blobs, (event) => (isHere(event) ? event.total : event.bytes))
  if (blobs.every(isHere)) return `total  ${formatSize(total)}${isSaving ? '  saving' : ''}`
  if (bytes === total) return `total  ${formatSize(total)}  unpacking`
  const rate = (bytes - atStart) / (ms / 1000)
  const eta = rate > 0 ? `, ${formatDuration(((total - bytes) / rate) * 1000)} left` : ''
  return `total  ${formatSize(bytes)}/${formatSize(total)}  ${formatSize(Math.max(0, Math.round(rate)))}/s${eta}`
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0)
}
