import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { DrayError } from '#oci/error.ts'
import { sendSignal } from './processes.ts'

/** Signals that a person or a supervisor sends to a program, and that the container's command should get instead. */
const FORWARDED = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGCONT',
] as const

/** Those that mean: end. */
const ENDING: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']

/** Catches the signals of this process until {@link release}, so that none ends it before a container is cleaned up. */
export class SignalCatcher {
  readonly #handler = (signal: NodeJS.Signals) => this.#take(signal)
  #listener: ((signal: NodeJS.Signals) => void) | undefined
  #pending: NodeJS.Signals[] = []

  constructor() {
    for (const signal of FORWARDED) process.on(signal, this.#handler)
  }

  /** The first signal so far that means: end. */
  get ending(): NodeJS.Signals | undefined {
    return this.#pending.find((signal) => ENDING.includes(signal))
  }

  /** Hands the signals on, those caught before included. */
  deliverTo(listener: (signal: NodeJS.Signals) => void): void {
    this.#listener = listener
    for (const signal of this.#pending.splice(0)) listener(signal)
  }

  release(): void {
    for (const signal of FORWARDED) process.off(signal, this.#handler)
  }

  #take(signal: NodeJS.Signals): void {
    if (this.#listener === undefined) this.#pending.push(signal)
    else this.#listener(signal)
  }
}

/**
 * Parses a signal as `kill -l` names it, with or without SIG, or its number.
 *
 * @throws USAGE
 */
export function parseSignal(text: string): number {
  const upper = text.toUpperCase()
  const name = upper.startsWith('SIG') ? upper : `SIG${upper}`
  const realTime = /^SIGRT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name)
  const number = /^\d{1,2}$/.test(text)
    ? Number(text)
    : realTime === null
      ? constants.signals[name as NodeJS.Signals]
      : realTimeSignal(realTime)
  if (number !== undefined && number > 0 && number <= SIGRTMAX) return number
  throw new DrayError('USAGE', `invalid signal ${JSON.stringify(text)}: write TERM, SIGTERM or 15`)
}

// signal(7): libc keeps the first two of the kernel's for itself.
const SIGRTMIN = 34
const SIGRTMAX = 64

function realTimeSignal([, end, sign, offset = '0']: RegExpExecArray): number {
  const distance = sign === '-' ? -Number(offset) : Number(offset)
  return (end === 'MIN' ? SIGRTMIN : SIGRTMAX) + distance
}

/** The exit code that stands for an end by a signal. */
export function exitCodeOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}

/**
 * Whether a signal that should end a container's first process would be lost on it: the kernel drops what the first
 * process of a pid namespace doesn't handle (pid_namespaces(7)). One that it ignores on purpose is not lost.
 */
export function isLostOn(signal: NodeJS.Signals, statusText: string): boolean {
  if (!ENDING.includes(signal)) return false
  const bit = 1n << BigInt(constants.signals[signal] - 1)
  const masks = ['SigCgt', 'SigIgn'].map((field) => readMask(statusText, field))
  return masks.every((mask) => mask !== undefined && (mask & bit) === 0n)
}

/** {@link isLostOnProcess} for a signal by its number. */
export function isLostOnNumber(signal: number, pid: number): boolean {
  const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0]
  return name !== undefined && isLostOnProcess(name as NodeJS.Signals, pid)
}

/** {@link isLostOn} of a process of this host; false when it is gone. */
export function isLostOnProcess(signal: NodeJS.Signals, pid: number): boolean {
  try {
    return isLostOn(signal, readFileSync(`/proc/${pid}/status`, 'latin1'))
  } catch {
    return false
  }
}

/** Sends a container's first process a signal, or SIGKILL when it would be lost there. @returns the signal, when it killed */
export function passSignal(signal: NodeJS.Signals, pid: number): NodeJS.Signals | undefined {
  const isLost = isLostOnProcess(signal, pid)
  sendSignal(pid, isLost ? 'SIGKILL' : signal)
  return isLost ? signal : undefined
}

function readMask(statusText: string, field: string): bigint | undefined {
  const hex = new RegExp(`^${field}:\\s*([0-9a-f]+)$`, 'm').exec(statusText)?.[1]
  return hex === undefined ? undefined : BigInt(`0x${hex}`)
}
