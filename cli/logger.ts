import { type Logger, pino } from 'pino'

/** What a pipe takes at once (PIPE_BUF of Linux): lines of several processes don't end up in one another. */
const MOST_WRITTEN = 4096

/** Logs one JSON object a line to standard output, each with the number of this process and with `base`. */
export function createLogger(level: string, base: Readonly<Record<string, unknown>> = {}): Logger {
  const destination = pino.destination({ fd: 1, sync: false, maxWrite: MOST_WRITTEN })
  return pino({ level, base: { pid: process.pid, ...base } }, destination)
}
