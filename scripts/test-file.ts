/** One file of tests in a process of its own, which ends in time, whatever the tests left. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from 'node:test'

/** A test that needs more says so, and so does a group of them. */
const TEST_MS = 240_000
/** A file, also one whose process hears of no timeout, since it never comes back to its event loop. */
const FILE_MS = 1_200_000
/** From the end of the last test to the end of the process, what comes after the tests included, and of all that has its output. */
const END_MS = 90_000
/** Enough for what V8 or an uncaught error says. */
const LAST_LINES = 30
const LEFT = `has something running or open ${END_MS / 1000} s after its last test`

export interface TestEvent {
  readonly type: string
  readonly data: Readonly<Record<string, unknown>>
}

/** What Node adds to the error of a whole file. */
interface FileError {
  readonly failureType?: string
  readonly exitCode?: number | null
  readonly signal?: NodeJS.Signals | null
}

export interface FileOutcome {
  readonly file: string
  readonly isGood: boolean
  /** What the tests told, for a reporter. Without the sums. */
  readonly events: readonly TestEvent[]
  /** The sums, by the names that reporters give them. */
  readonly counts: Readonly<Record<string, number>>
  readonly wallMs: number
  /** Of its process and the children that it waited for; monitors and containers are those of nobody. 0 if it was killed. */
  readonly cpuSeconds: number
}

/** Runs a file. It fails when its process doesn't end, too. */
export async function runTestFile(file: string): Promise<FileOutcome> {
  const dir = mkdtempSync(join(tmpdir(), 'dray-test-'))
  // By this name test-process.js knows that it is to note the time that the process took.
  const cpuFile = join(dir, 'test-cpu')
  const events: TestEvent[] = []
  const abort = new AbortController()
  const started = performance.now()
  let counts: Record<string, number> = {}
  let isGood = false
  const end = (why: string) => {
    for (const pid of processesOf(file)) killTree(pid)
    abort.abort(new Error(`${file} ${why}, and was ended`))
  }
  const late = setTimeout(end, FILE_MS, `took longer than ${FILE_MS / 1000} s`)
  let idle: NodeJS.Timeout | undefined
  /** Tests that have begun and not ended; the first one is the file. */
  let open = 0
  const stream: AsyncIterable<TestEvent> = run({
    files: [file],
    concurrency: 1,
    timeout: TEST_MS,
    signal: abort.signal,
    execArgv: ['--import', join(import.meta.dirname, 'test-process.js')],
    argv: [cpuFile],
  })
  for await (const event of stream) {
    if (event.type === 'test:dequeue' || event.type === 'test:complete') {
      open += event.type === 'test:dequeue' ? 1 : -1
      clearTimeout(idle)
      if (event.type === 'test:complete' && open === 1) idle = setTimeout(end, END_MS, LEFT)
    }
    if (event.type !== 'test:summary') {
      if (!isSum(event)) events.push(event)
    } else if (event.data.file === undefined) {
      counts = { ...(event.data.counts as Record<string, number>) }
      isGood = event.data.success === true && !abort.signal.aborted
    }
  }
  clearTimeout(idle)
  clearTimeout(late)
  const cpuSeconds = existsSync(cpuFile) ? Number(readFileSync(cpuFile, 'utf8')) : 0
  rmSync(dir, { recursive: true })
  return {
    file,
    isGood,
    events: events.map((event) => withEnd(event, events)),
    counts,
    wallMs: performance.now() - started,
    cpuSeconds,
  }
}

/** A line of its own in what a reporter prints. */
export function note(message: string): TestEvent {
  return { type: 'test:diagnostic', data: { nesting: 0, level: 'info', message } }
}

/** Of a file that its process failed, which Node calls a failed test and nothing else: how the process ended, and its last words. */
function withEnd(event: TestEvent, all: readonly TestEvent[]): TestEvent {
  const details = event.data.details as { readonly error?: FileError } | undefined
  const { failureType, exitCode, signal } = details?.error ?? {}
  // Where tests have failed, Node reports on each, and the process ends with 1.
  if (signal === undefined || (failureType === 'subtestsFailed' && exitCode === 1)) return event
  const how = signal === null ? `with exit code ${exitCode}` : `by ${signal}`
  const written = all.filter(({ type }) => type === 'test:stderr').map(({ data }) => data.message)
  const lines = written.join('').trimEnd().split('\n').slice(-LAST_LINES)
  const words = written.length === 0 ? ['nothing'] : ['', ...lines]
  const error = new Error(
    `the file's process ended ${how}; last on its stderr: ${words.join('\n')}`,
  )
  delete error.stack // It would be ours.
  return { ...event, data: { ...event.data, details: { ...details, error } } }
}

function isSum({ type, data }: TestEvent): boolean {
  return (
    type === 'test:diagnostic' &&
    data.nesting === 0 &&
    /^(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/.test(
      String(data.message),
    )
  )
}

function childrenOf(pid: number): number[] {
  try {
    const threads = readdirSync(`/proc/${pid}/task`)
    return threads.flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')
        .split(' ')
        .filter(Boolean)
        .map(Number),
    )
  } catch {
    return [] // It has ended.
  }
}

function processesOf(file: string): number[] {
  return childrenOf(process.pid).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(file)
    } catch {
      return false
    }
  })
}

function killTree(pid: number): void {
  const children = childrenOf(pid)
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
  for (const child of children) killTree(child)
}
