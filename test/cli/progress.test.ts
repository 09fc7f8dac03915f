import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { createProgressView, type ProgressMode } from '#cli/output/progress.ts'
import { type Digest, digestOf } from '#oci/digest.ts'
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
type BlobState = Extract<ProgressEvent, { type: 'blob' }>['state']
const STATES: Readonly<Record<BlobState, true>> = {
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

  for (const columns of [50, 25]) {
    it(`draws on a terminal, never wider than it is (${columns} columns)`, () => {
      const text = shown('auto', { isTTY: true, columns })
      assert.ok(text.includes('\x1b[J'))
      assert.match(text, /total {2}2kB\n$/)
      for (const line of text.split('\n').slice(1))
        assert.ok(line.replace('\x1b[J', '').length < columns)
    })
  }

  it('draws no more than fits until all is done: first what is under way', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    let text = ''
    const stream = { isTTY: true, columns: 0, rows: 10, write: (part: string) => (text += part) }
    const view = createProgressView('auto', stream)
    const states = ['exists', 'waiting', 'transferring'] as const
    const blobs = Array.from({ length: 30 }, (_, at) => digestOf(String(at)))
    const tell = (digest: Digest, state: BlobState) =>
      view.show({ type: 'blob', digest, kind: 'layer', state, bytes: 0, total: 2000 })
    for (const [at, digest] of blobs.entries()) tell(digest, states[at % 3] ?? 'done')
    t.mock.timers.tick(100)
    const drawn = text.trimEnd().split('\n')
    assert.equal(drawn.length, 9)
    for (const line of drawn.slice(0, 8)) assert.match(line, /layer \w+ {2}\[>/)
    text = ''
    for (const digest of blobs) tell(digest, 'done')
    view.end()
    assert.ok(text.startsWith('\x1b[9A\x1b[J'))
    assert.equal(text.trimEnd().split('\n').length, 31)
  })

  it('prints nothing when told so', () => {
    assert.equal(shown('none'), '')
  })
})
