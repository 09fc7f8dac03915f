/**
 * Comes first in the process of each file of tests. Not TypeScript: to strip the types of what is loaded before the cache is on,
 * each process and each of its threads would load a compiler, which takes twice as long as all else that a process loads.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { basename, join } from 'node:path'
import { isMainThread } from 'node:worker_threads'

// Keeps what the tests' processes compile of the sources, types stripped, for the next: each would do all of it again.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, '../node_modules/.cache/dray-tests')
enableCompileCache(process.env.NODE_COMPILE_CACHE)

// What a test starts comes here as well, with arguments of its own.
const [, , cpuFile = ''] = process.argv
if (isMainThread && basename(cpuFile) === 'test-cpu') {
  process.on('exit', () => writeFileSync(cpuFile, String(cpuSeconds())))
}

/** What this process took, with the children that it waited for. */
function cpuSeconds() {
  // The fields from the third on, behind the name, which may have spaces. On Linux a tick is 10 ms for every program.
  const [, fields = ''] = /^.*\) (.*)$/s.exec(readFileSync('/proc/self/stat', 'latin1')) ?? []
  const ticks = fields.split(' ').slice(11, 15).map(Number)
  return ticks.reduce((sum, each) => sum + each, 0) / 100
}
