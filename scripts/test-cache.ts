/** Keeps what the tests' processes compile of the sources, types stripped, for the next: each would do all of it again. */
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/dray-tests'))
