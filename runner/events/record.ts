import { appendFileSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { labelsOf } from '../containers/filter.ts'
import { exclusively } from '../file-lock.ts'
import type { ContainerRecord } from '../record.ts'

/**
 * What happened to the containers of a store, one JSON line each, appended by whoever did it. A full file becomes the older one,
 * whose place it takes: together they are bounded.
 *
 *     <root>/events.jsonl      the latest
 *     <root>/events.1.jsonl    those before
 */
export function eventFiles(root: string): { readonly latest: string; readonly older: string } {
  return { latest: join(root, 'events.jsonl'), older: join(root, 'events.1.jsonl') }
}

const FILE_LIMIT = 1024 * 1024
/** What one write(2) appends whole, whoever else appends; labels that don't fit are left out. */
const LINE_LIMIT = 4096

/** What happens to a container, in docker's words. */
export type Action =
  | 'create'
  | 'start'
  | 'die'
  | 'oom'
  | 'kill'
  | 'stop'
  | 'restart'
  | 'pause'
  | 'unpause'
  | 'rename'
  | 'update'
  | 'destroy'
  | `exec_start: ${string}`
  | `health_status: ${string}`

/** An event as docker's API has it. */
export interface Event {
  readonly status: string
  readonly id: string
  readonly from: string
  readonly Type: 'container'
  readonly Action: string
  readonly Actor: {
    readonly ID: string
    /** Name, image, labels, and what belongs to the action. */
    readonly Attributes: Readonly<Record<string, string>>
  }
  readonly scope: 'local'
  /** Seconds, and nanoseconds, since 1970. */
  readonly time: number
  readonly timeNano: number
}

/** Notes that something happened. That it can't be noted, on a full disk, keeps nobody from doing it. */
export function recordEvent(
  root: string,
  record: ContainerRecord,
  action: Action,
  attributes: Readonly<Record<string, string>> = {},
): void {
  try {
    append(eventFiles(root), lineOf(record, action, attributes))
  } catch {
    // See above.
  }
}

function lineOf(
  record: ContainerRecord,
  action: Action,
  attributes: Readonly<Record<string, string>>,
): string {
  const { id, image, name } = record
  const now = Date.now()
  const own = { ...attributes, image, name }
  const event = (all: Readonly<Record<string, string>>): Event => ({
    ...{ status: action, id, from: image, Type: 'container', Action: action },
    Actor: { ID: id, Attributes: all },
    ...{ scope: 'local', time: Math.floor(now / 1000), timeNano: now * 1e6 },
  })
  const labels = labelsOf({ record })
  const line = `${JSON.stringify(event({ ...labels, ...own }))}\n`
  return Buffer.byteLength(line) <= LINE_LIMIT ? line : `${JSON.stringify(event(own))}\n`
}

function append(files: ReturnType<typeof eventFiles>, line: string): void {
  if (isFull(files.latest)) {
    exclusively(`${files.latest}.lock`, () => {
      // Somebody else may have been faster.
      if (isFull(files.latest)) renameSync(files.latest, files.older)
    })
  }
  appendFileSync(files.latest, line, { mode: 0o600 })
}

function isFull(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) >= FILE_LIMIT
}
