import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Key } from '#puller/mirrors/toml.ts'
import { lineOf } from '#puller/mirrors/toml-line.ts'

const TEXT = `# comment
server = "x"
[host."https://a.example"]
  skip_verify = 1
[host."https://a.example".header]
  "x-y" = 1

[[registry]]
prefix = "a"
[[registry.mirror]]
location = "a1"
[[registry.mirror]]
location = "a2"
[[registry]]
  prefix = "b"
[[registry.mirror]]
location = 'b1'
a.b = 2
`

describe('lineOf', () => {
  const PATHS: readonly (readonly [line: number, path: readonly Key[]])[] = [
    [2, ['server']],
    [3, ['host', 'https://a.example']],
    [4, ['host', 'https://a.example', 'skip_verify']],
    [6, ['host', 'https://a.example', 'header', 'x-y']],
    [8, ['registry', 0]],
    [9, ['registry', 0, 'prefix']],
    [11, ['registry', 0, 'mirror', 0, 'location']],
    [13, ['registry', 0, 'mirror', 1, 'location', 2]],
    [14, ['registry', 1, 'absent']],
    [15, ['registry', 1, 'prefix']],
    [17, ['registry', 1, 'mirror', 0, 'location']],
    [18, ['registry', 1, 'mirror', 0, 'a', 'b']],
    [1, ['absent']],
  ]
  for (const [line, path] of PATHS) {
    it(`finds ${path.join('.')} on line ${line}`, () => assert.equal(lineOf(TEXT, path), line))
  }
})
