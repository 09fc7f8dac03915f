import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { createProgressView, type ProgressMode } from '#cli/output/progress.ts'
import { digestOf } from '#oci/digest.ts'
import type { ProgressEvent } from '#puller/index.ts'

const A = digestOf('a')
const EVENTS: readonly ProgressEvent[] = [
  { type: 'resolved', reference: 'host/a:1', digest: A, platform: 'linux/amd64' },
  { type: 'blob', digest: A, kind: 'layer', state: 'waiting', bytes: 0, total: 2000 },
  { type: 'blob', digest: A, kind: 'layer', state: 'transferring', bytes: 1000, total: 2000 },
  { type: 'blob', digest: A, kind: 'layer', state: 'done', bytes: 2000, total: 2000 },
  { type: 'saving' },
  { type: 'warning', message: 'not as asked' },
]

function shown(mode: ProgressMode, { isTTY = false, columns = 80 } = {}): string {
  let text = ''
  const view = createProgressView(mode, { isTTY, columns, write: (part) => (text += part) })
  EVENTS.forEach(view.show)
  view.end()
  return text
}

/** All there are, or this does not compile. */
const TYPES: Readonly<Record<ProgressEvent['type'], true>> = {
  resolved: true,
  blob: true,
  warning: true,
  saving: true,
}
const STATES: Readonly<Record<Extract<ProgressEvent, { type: 'blob' }>['state'], true>> = {
  waiting: true,
  transferring: true,
  finishing: true,
  done: true,
  exists: true,
}

describe('the page about progress', () => {
  it('names every type of event, every field and every state', () => {
    const page = readFileSync('docs/progress.md', 'utf8')
    const rows = page.split('\n').filter((line) => line.startsWith('| `'))
    const named = rows.map((row) => /^\| `(\w+)`/.exec(row)?.[1])
    assert.deepEqual(named, ['type', ...Object.keys(TYPES), 'state', ...Object.keys(STATES)])
    for (const { type, ...fields } of EVENTS) {
      const row = rows.find((each) => each.startsWith(`| \`${type}\``)) ?? ''
      for (const field of Object.keys(fields)) assert.ok(row.includes(`\`${field}\``), field)
    }
  })
})

describe('a progress view', () => {
  it('prints every event as one line of JSON', () => {
    const lines = shown('json').trimEnd().split('\n')
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      EVENTS,
    )
  })

  it('prints a line a blob where there is no terminal, and no control characters', () => {
    assert.equal(
      shown('auto'),
      `host/a:1 for linux/amd64 ${A}\nlayer ${A.slice(7, 19)} done 2kB\nsaving\nwarning: not as asked\n`,
    )
  })

  it('draws on a terminal, never wider than it is', () => {
    const text = shown('auto', { isTTY: true, columns: 50 })
    assert.ok(text.includes('\x1b[J'))
    assert.match(text, /total {2}2kB\n$/)
    for (const line of text.split('\n').slice(1)) assert.ok(line.replace('\x1b[J', '').length < 50)
  })

  it('prints nothing when told so', () => {
    assert.equal(shown('none'), '')
  })
})
