import assert from 'node:assert/strict'
import { appendFileSync, existsSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parseLogLine } from '#runner/log/line.ts'
import { followLog, type ReadLogOptions, readLog } from '#runner/log/read.ts'
import { parseGoDuration, parseMoment } from '#runner/log/time.ts'
import { tempDir } from '../../support/temp-dir.ts'

const line = (second: number, text: string, tag = 'F') =>
  `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000001+00:00 stdout ${tag} ${text}\n`
const TEN = Array.from({ length: 10 }, (_, at) => line(at, `line ${at}`)).join('')

async function texts(path: string, options: ReadLogOptions = {}): Promise<string[]> {
  return (await Array.fromAsync(readLog(path, options))).map(({ text }) => text.toString())
}

describe('a line of a log', () => {
  it('has a time, a stream and any bytes', () => {
    const parsed = parseLogLine(Buffer.from('2026-01-01T00:00:00Z stderr P \xff a  b', 'latin1'))
    assert.equal(parsed?.stream, 'stderr')
    assert.equal(parsed.isPartial, true)
    assert.equal(parsed.text.toString('latin1'), '\xff a  b')
    assert.equal(parseLogLine(Buffer.from('t stdout F '))?.text.length, 0)
  })

  for (const text of ['', 'a', 't stdout', 't stdout F', 't nowhere F x', 't stdout X x']) {
    it(`is none when it is ${JSON.stringify(text)}`, () => {
      assert.equal(parseLogLine(Buffer.from(text)), undefined)
    })
  }
})

describe('a log', () => {
  it('is read whole, or its last lines, or between two times', async (t) => {
    const path = join(tempDir(t), 'log')
    assert.deepEqual(await texts(path), [])
    writeFileSync(path, TEN)
    assert.equal((await texts(path)).length, 10)
    assert.deepEqual(await texts(path, { tail: 2 }), ['line 8', 'line 9'])
    assert.deepEqual(await texts(path, { tail: 0 }), [])
    assert.equal((await texts(path, { tail: 99 })).length, 10)
    const [since, until] = ['2026-01-01T00:00:03Z', '2026-01-01T00:00:04.500Z'].map(Date.parse)
    assert.deepEqual(await texts(path, { since, until }), ['line 3', 'line 4'])
  })

  it('counts a line that came in parts once', async (t) => {
    const path = join(tempDir(t), 'log')
    writeFileSync(path, TEN + line(11, 'a', 'P') + line(11, 'b', 'P') + line(11, 'c'))
    assert.deepEqual(await texts(path, { tail: 2 }), ['line 9', 'a', 'b', 'c'])
    appendFileSync(path, line(12, 'd', 'P') + line(12, 'e', 'P'))
    assert.deepEqual(await texts(path, { tail: 1 }), ['d', 'e'])
    assert.deepEqual(await texts(path, { tail: 2 }), ['a', 'b', 'c', 'd', 'e'])
  })

  it('has last lines longer than what is read at once', async (t) => {
    const path = join(tempDir(t), 'log')
    const long = 'x'.repeat(150_000)
    writeFileSync(path, TEN + line(11, long) + line(12, 'end'))
    assert.deepEqual(await texts(path, { tail: 2 }), [long, 'end'])
    assert.deepEqual(await texts(path, { tail: 3 }), ['line 9', long, 'end'])
  })

  it('is followed as it grows, over a line that is written in two steps, and into a new file', async (t) => {
    const path = join(tempDir(t), 'log')
    writeFileSync(path, TEN + line(11, 'cut').slice(0, 10))
    const steps = [
      () => appendFileSync(path, line(11, 'cut').slice(10)),
      () => {
        writeFileSync(`${path}.new`, line(12, 'new'))
        renameSync(`${path}.new`, path)
      },
      () => appendFileSync(path, line(13, 'last')),
    ]
    const seen: string[] = []
    const isOpen = async () => {
      steps.shift()?.()
      return steps.length > 0
    }
    for await (const { text } of followLog(path, { tail: 1, isOpen })) seen.push(text.toString())
    assert.deepEqual(seen, ['line 9', 'cut', 'new', 'last'])
  })
})

describe('a log that begins anew', () => {
  it('is followed to its end, what came before and after included', async (t) => {
    const path = join(tempDir(t), 'log')
    writeFileSync(path, line(1, 'first'))
    const seen: string[] = []
    let calls = 0
    const isOpen = async () => {
      calls += 1
      if (calls === 2) {
        // All of it since the log was read, and the container has ended.
        appendFileSync(path, line(2, 'late'))
        writeFileSync(`${path}.new`, line(3, 'new'))
        renameSync(`${path}.new`, path)
      }
      return calls < 2
    }
    for await (const { text } of followLog(path, { isOpen })) seen.push(text.toString())
    assert.deepEqual(seen, ['first', 'late', 'new'])
  })
})

describe('a log of several files', () => {
  /** As conmon does it. */
  const rotate = (path: string, first: string) => {
    for (const number of [2, 1]) {
      if (existsSync(`${path}.${number}`)) renameSync(`${path}.${number}`, `${path}.${number + 1}`)
    }
    renameSync(path, `${path}.1`)
    writeFileSync(path, first)
  }
  const threeFiles = (path: string) => {
    writeFileSync(path, line(1, 'a') + line(2, 'b'))
    rotate(path, line(3, 'c') + line(4, 'd1', 'P'))
    rotate(path, line(5, 'd2') + line(6, 'e'))
  }

  it('is read from the oldest on, and its last lines over as many as they need', async (t) => {
    const path = join(tempDir(t), 'log')
    threeFiles(path)
    const all = ['a', 'b', 'c', 'd1', 'd2', 'e']
    assert.deepEqual(await texts(path), all)
    for (const [tail, pieces] of [
      [0, 0],
      [1, 1],
      [2, 3],
      [3, 4],
      [4, 5],
      [5, 6],
      [9, 6],
    ] as const)
      assert.deepEqual(await texts(path, { tail }), pieces === 0 ? [] : all.slice(-pieces))
    const [since, until] = ['2026-01-01T00:00:02Z', '2026-01-01T00:00:05.5Z'].map(Date.parse)
    assert.deepEqual(await texts(path, { since, until }), ['b', 'c', 'd1', 'd2'])
    rotate(path, '')
    assert.deepEqual(await texts(path, { tail: 1 }), ['e'])
    renameSync(path, `${path}.aside`) // between two steps of the monitor
    assert.deepEqual(await texts(path), all)
  })

  it('is followed over any number of them that came at once', async (t) => {
    const path = join(tempDir(t), 'log')
    threeFiles(path)
    const steps = [
      () => undefined,
      () => rotate(path, line(7, 'f')),
      () => {
        appendFileSync(path, line(8, 'g'))
        rotate(path, line(9, 'h'))
        rotate(path, line(10, 'i'))
      },
      () => writeFileSync(path, ''),
      () => appendFileSync(path, line(11, 'j')),
    ]
    const seen: string[] = []
    const isOpen = async () => {
      steps.shift()?.()
      return steps.length > 0
    }
    for await (const { text } of followLog(path, { tail: 1, isOpen })) seen.push(text.toString())
    assert.deepEqual(seen, ['e', 'f', 'g', 'h', 'i', 'j'])
  })
})

describe('a moment', () => {
  const now = Date.parse('2026-01-02T00:00:00Z')
  for (const [text, moment] of [
    ['10m', '2026-01-01T23:50:00Z'],
    ['1h30m', '2026-01-01T22:30:00Z'],
    ['2026-01-01T12:00:00Z', '2026-01-01T12:00:00Z'],
    ['2026-01-01T12:00:00+02:00', '2026-01-01T10:00:00Z'],
    ['1767225600', '2026-01-01T00:00:00Z'],
  ] as const) {
    it(`is read from ${text}`, () => assert.equal(parseMoment(text, now), Date.parse(moment)))
  }

  it('is not read from anything else', () => {
    for (const text of ['', 'yesterday', '10', '2026-13-01', '10x'].filter(
      (each) => each !== '10',
    )) {
      assert.throws(() => parseMoment(text, now), { code: 'USAGE' })
    }
    assert.equal(parseGoDuration('1.5s'), 1500)
    assert.equal(parseGoDuration('x'), undefined)
  })
})
