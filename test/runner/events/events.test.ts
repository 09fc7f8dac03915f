import assert from 'node:assert/strict'
import { appendFileSync, statSync } from 'node:fs'
import { describe, it } from 'node:test'
import { readEvents, type ReadEventsOptions } from '#runner/events/read.ts'
import { eventFiles, recordEvent } from '#runner/events/record.ts'
import type { ContainerRecord } from '#runner/record.ts'
import { tempDir } from '../../support/temp-dir.ts'

const record = (name: string, labels: Readonly<Record<string, string>> = {}) =>
  ({
    id: name.repeat(64).slice(0, 64),
    name,
    image: 'app:1',
    options: { labels },
    rootfs: { config: {} },
  }) as unknown as ContainerRecord

async function actions(root: string, options: ReadEventsOptions = {}): Promise<string[]> {
  const found: string[] = []
  for await (const event of readEvents(root, { since: 0, until: Date.now(), ...options })) {
    found.push(`${event.Actor.Attributes.name} ${event.Action}`)
  }
  return found
}

describe('events', () => {
  it('are read in their order, by what they are about', async (t) => {
    const root = tempDir(t)
    recordEvent(root, record('a', { tier: 'web' }), 'create')
    recordEvent(root, record('b'), 'start')
    recordEvent(root, record('a', { tier: 'web' }), 'exec_start: ls /')
    assert.deepEqual(await actions(root), ['a create', 'b start', 'a exec_start: ls /'])
    const filtered = (...filters: string[]) => actions(root, { filters })
    assert.deepEqual(await filtered('container=b'), ['b start'])
    assert.deepEqual(await filtered('event=create', 'event=start'), ['a create', 'b start'])
    assert.deepEqual(await filtered('event=exec_start', 'label=tier=web'), ['a exec_start: ls /'])
    assert.deepEqual(await filtered('image=app', 'type=container', 'event=start'), ['b start'])
    assert.deepEqual(await filtered('label=tier=db'), [])
    await assert.rejects(filtered('colour=red'), { code: 'USAGE' })
    assert.deepEqual(await actions(root, { since: Date.now() + 1000 }), [])
  })

  it('take two bounded files, and half a line harms no other', async (t) => {
    const root = tempDir(t)
    const { latest, older } = eventFiles(root)
    recordEvent(root, record('first'), 'create')
    appendFileSync(latest, '{"half\n')
    appendFileSync(latest, `${' '.repeat(2 ** 20)}\n`)
    recordEvent(root, record('second'), 'create')
    assert.ok(statSync(latest).size < 4096 && statSync(older).size > 2 ** 20)
    assert.deepEqual(await actions(root), ['first create', 'second create'])
  })

  it('come as they happen, over a change of files too, until nobody listens', async (t) => {
    const root = tempDir(t)
    const stop = new AbortController()
    const events = readEvents(root, { since: 0, signal: stop.signal })
    const next = async () => (await events.next()).value?.Action
    recordEvent(root, record('a'), 'create')
    assert.equal(await next(), 'create')
    appendFileSync(eventFiles(root).latest, `${' '.repeat(2 ** 20)}\n`)
    recordEvent(root, record('a'), 'start')
    assert.equal(await next(), 'start')
    stop.abort()
    assert.equal(await next(), undefined)
  })
})
