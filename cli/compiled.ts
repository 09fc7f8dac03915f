import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { Script } from 'node:vm'

/**
 * Starts a program of one script with V8's code of what earlier runs of it used. Node keeps code as well, but makes it before
 * anything runs, so that most functions are missing: they would be compiled at every start.
 *
 * The code lies where Node keeps its own, one file a command: the digest of all that follows and of the program's name, which
 * changes with what is in it; how many runs it comes from, in one byte; and after 7 empty ones the code.
 */
declare const COMMAND: string
/** Name of a file in dist/chunks. */
declare const PROGRAM: string

const DIGEST_BYTES = 32
/** V8 copies what isn't aligned. */
const HEAD_BYTES = DIGEST_BYTES + 8
/** Different options use different functions. Then it is enough: to write it takes longer than to compile what is left. */
const LEARNS_FROM_RUNS = 4

start(join(__dirname, '../chunks', PROGRAM), process.env.NODE_COMPILE_CACHE)

function start(path: string, cacheDir: string | undefined): void {
  const file = cacheDir ? join(cacheDir, `${COMMAND}.code`) : undefined
  const kept = file === undefined ? undefined : readCode(file)
  const text = `(function (require, __dirname) {${readFileSync(path, 'utf8')}\n})`
  const script = new Script(text, { filename: path, cachedData: kept?.code })
  const runs = kept === undefined || script.cachedDataRejected ? 0 : kept.runs
  if (file !== undefined && runs < LEARNS_FROM_RUNS) {
    process.once('exit', () => keepCode(file, runs + 1, script))
  }
  script.runInThisContext()(createRequire(path), dirname(path))
}

/** Undefined when there is none of this very program, or not all of it: V8 trusts what it is given. */
function readCode(file: string): { runs: number; code: Buffer } | undefined {
  try {
    const bytes = readFileSync(file)
    const digest = bytes.subarray(0, DIGEST_BYTES)
    if (!digest.equals(digestOf(bytes.subarray(DIGEST_BYTES)))) return undefined
    return { runs: bytes[DIGEST_BYTES] ?? 0, code: bytes.subarray(HEAD_BYTES) }
  } catch {
    return undefined
  }
}

function keepCode(file: string, runs: number, script: Script): void {
  const head = Buffer.alloc(HEAD_BYTES - DIGEST_BYTES)
  head[0] = runs
  const rest = Buffer.concat([head, script.createCachedData()])
  const temporary = `${file}.${process.pid}`
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    writeFileSync(temporary, Buffer.concat([digestOf(rest), rest]), { mode: 0o600 })
    renameSync(temporary, file)
  } catch {
    // Without it, it works as well.
  }
}

function digestOf(rest: Buffer): Buffer {
  return createHash('sha256').update(PROGRAM).update(rest).digest()
}
