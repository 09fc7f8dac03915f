import { type Logger, pino } from 'pino'

/** Logs one JSON object a line to standard output. */
export function createLogger(level: string): Logger {
  return pino({ level, base: null }, pino.destination({ fd: 1, sync: false }))
}
