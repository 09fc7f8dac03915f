import { closeSync, fstatSync, openSync, readSync, statSync, writeFileSync } from 'node:fs'
import { byLabel, type FilterTests, passesFilters } from '../filters.ts'
import { watchPath } from '../watch.ts'
import { type Event, eventFiles } from './record.ts'

export interface ReadEventsOptions {
  /** Milliseconds since 1970. Default: now. */
  readonly since?: number | undefined
  /** Default: goes on until `signal`. */
  readonly until?: number | undefined
  /** `KEY=VALUE`, as docker's: container, image, event, type, label. */
  readonly filters?: readonly string[] | undefined
  readonly signal?: AbortSignal | undefined
}

/** How often is looked when nothing tells of changes. */
const LOOK_EVERY_MS = 1000
const CHUNK = 64 * 1024

/** What happened to the containers of a store, and what happens from now on. @throws USAGE */
export async function* readEvents(root: string, options: ReadEventsOptions): AsyncGenerator<Event> {
  const { since = Date.now(), until = Number.POSITIVE_INFINITY, signal } = options
  const isWanted = eventFilter(options.filters ?? [])
  const { latest, older } = eventFiles(root)
  const passes = ({ timeNano }: Event) => timeNano >= since * 1e6 && timeNano <= until * 1e6
  const wanted = (events: Iterable<Event>) => [...events].filter(passes).filter(isWanted)
  let file = new EventFile(latest)
  try {
    if (statSync(older, { throwIfNoEntry: false }) !== undefined) {
      const before = new EventFile(older)
      yield* wanted(before.take())
      before.close()
    }
    for (;;) {
      const changes = watchPath(latest)
      try {
        const left = until - Date.now()
        const news = changes.next(Math.max(0, Math.min(left, LOOK_EVERY_MS)), signal)
        yield* wanted(file.take())
        if (left <= 0 || signal?.aborted) return
        await news
      } finally {
        changes.close()
      }
      if (!file.isReplaced()) continue
      yield* wanted(file.take())
      file.close()
      file = new EventFile(latest)
    }
  } finally {
    file.close()
  }
}

/** An open file of events, and how far it was read. */
class EventFile {
  readonly #path: string
  readonly #fd: number
  #rest = Buffer.alloc(0)

  constructor(path: string) {
    this.#path = path
    writeFileSync(path, '', { flag: 'a', mode: 0o600 })
    this.#fd = openSync(path, 'r')
  }

  /** The events that weren't taken yet. */
  *take(): Generator<Event> {
    for (;;) {
      const chunk = Buffer.alloc(CHUNK)
      const length = readSync(this.#fd, chunk, 0, CHUNK, null)
      if (length === 0) return
      const bytes = Buffer.concat([this.#rest, chunk.subarray(0, length)])
      const end = bytes.lastIndexOf(0x0a) + 1
      this.#rest = bytes.subarray(end)
      for (const line of bytes.toString('utf8', 0, end).split('\n')) {
        const event = parseEvent(line)
        if (event !== undefined) yield event
      }
    }
  }

  isReplaced(): boolean {
    return statSync(this.#path, { throwIfNoEntry: false })?.ino !== fstatSync(this.#fd).ino
  }

  close(): void {
    closeSync(this.#fd)
  }
}

/** A power cut may leave half a line. */
function parseEvent(line: string): Event | undefined {
  try {
    return line === '' ? undefined : (JSON.parse(line) as Event)
  } catch {
    return undefined
  }
}

/** Tells which events pass filters. @throws USAGE */
export function eventFilter(filters: readonly string[]): (event: Event) => boolean {
  return passesFilters(filters, TESTS)
}

const TESTS: FilterTests<Event> = {
  container: (value) => (event) =>
    event.Actor.Attributes.name === value || event.id.startsWith(value),
  image:
    (value) =>
    ({ from }) =>
      from === value || from.replace(/:[^:/]*$/, '') === value,
  event:
    (value) =>
    ({ Action }) =>
      Action === value || Action.startsWith(`${value}:`),
  type:
    (value) =>
    ({ Type }) =>
      Type === value,
  label: byLabel(({ Actor }) => Actor.Attributes),
}
