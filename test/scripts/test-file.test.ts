import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'

const SCRIPT = pathToFileURL(join(import.meta.dirname, '../../scripts/test-file.ts'))

/** Prints what became of each file, with what a reporter makes of it. */
const REPORT = `
  import { text } from 'node:stream/consumers'
  import { spec } from 'node:test/reporters'
  import { runTestFile } from '${SCRIPT}'
  const reports = []
  for (const file of process.argv.slice(2)) {
    const { isGood, events } = await runTestFile(file)
    const reporter = new spec()
    for (const event of events) reporter.write(event)
    reporter.end()
    reports.push({ isGood, report: await text(reporter) })
  }
  console.log(JSON.stringify(reports))`

/** What the test of a file does, and what is reported of the file. */
const FAILING = [
  [
    'is killed tells the signal, and its last words',
    `console.error('the\\nlast words'); process.kill(process.pid, 'SIGKILL'); for (;;);`,
    /the file's process ended by SIGKILL; last on its stderr: \n\s*the\n\s*last words\]\n/,
  ],
  [
    'exits tells the code',
    `process.exit(7)`,
    /the file's process ended with exit code 7; last on its stderr: nothing/,
  ],
  [
    'says much and exits tells the end of it',
    `console.error(Array.from({ length: 500 }, (_, n) => 'line ' + n).join('\\n')); process.exit(7)`,
    /stderr: \n\s*line 470\n(?:.*\n){28}\s*line 499\]\n/,
  ],
] as const

const FAILED_TEST = `console.error('some'); throw new Error('no luck')`
const GOOD = `console.error('some')`

describe('a file of tests whose process', () => {
  let dir: string
  let reports: readonly { readonly isGood: boolean; readonly report: string }[]

  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'dray-test-file-'))
    const program = join(dir, 'report.mjs')
    writeFileSync(program, REPORT)
    const files = [...FAILING.map(([, body]) => body), FAILED_TEST, GOOD].map((body, n) => {
      const file = join(dir, `${n}.test.mjs`)
      writeFileSync(file, `import { it } from 'node:test'\nit('acts', () => { ${body} })\n`)
      return file
    })
    const { NODE_TEST_CONTEXT: _, ...env } = process.env // With it, Node runs no file.
    const words = [program, ...files]
    const { stdout, stderr } = spawnSync(process.execPath, words, { env, encoding: 'utf8' })
    assert.equal(stderr, '')
    reports = JSON.parse(stdout)
  })

  after(() => rmSync(dir, { recursive: true, force: true }))

  for (const [index, [what, , said]] of FAILING.entries()) {
    it(what, () => {
      const { isGood, report = '' } = reports[index] ?? {}
      assert.equal(isGood, false)
      assert.match(report, said)
    })
  }

  it('ends as it does where a test has failed tells the failure alone', () => {
    const { isGood, report = '' } = reports.at(-2) ?? {}
    assert.equal(isGood, false)
    assert.match(report, /no luck/)
    assert.doesNotMatch(report, /process ended/)
  })

  it('ends well tells nothing', () => {
    const { isGood, report = '' } = reports.at(-1) ?? {}
    assert.equal(isGood, true)
    assert.doesNotMatch(report, /process ended/)
  })
})
