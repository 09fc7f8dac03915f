/** Comes first in the process of each file of tests. */
import { readFileSync, writeFileSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { basename, join } from 'node:path'
import { CPU_FILE } from './test-file.ts'

// Keeps what the tests' processes compile of the sources, types stripped, for the next: each would do all of it again.
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/dray-tests'))

// What a test forks comes here as well, with arguments of its own.
const [, , cpuFile = ''] = process.argv
if (basename(cpuFile) === CPU_FILE) {
  process.on('exit', () => writeFileSync(cpuFile, String(cpuSeconds())))
}

/** What this process took, with the children that it waited for. */
function cpuSeconds(): number {
  // The fields from the third on, behind the name, which may have spaces. On Linux a tick is 10 ms for every program.
  const [, fields = ''] = /^.*\) (.*)$/s.exec(readFileSync('/proc/self/stat', 'latin1')) ?? []
  const ticks = fields.split(' ').slice(11, 15).map(Number)
  return ticks.reduce((sum, each) => sum + each, 0) / 100
}
