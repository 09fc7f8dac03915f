/** Bytes are counted this long before they are worth a decision, in ms. */
const WINDOW_MS = 100
/** How long a decision stands before another number is tried, in ms. */
const HOLD_MS = 5_000
const FIRST_CONNECTIONS = 4
/** More connections must bring this much more to be kept; fewer may bring this much less. */
const GAIN = 1.1
const LOSS = 0.97
/** Windows in a row that more connections may bring too little: each of them starts slowly. */
const PATIENCE = 3

/**
 * Finds by trying how many connections bring the most bytes: twice as many as long as that pays, then, from time to
 * time, half as many, which stay when they bring as much. It does nothing by itself and has no clock.
 */
export class Tuner {
  readonly #most: number
  #connections: number
  /** The number that has proved best, and its bytes per ms; no rate before the first measurement. */
  #best: { readonly connections: number; readonly rate: number | undefined }
  #direction: 'more' | 'fewer' = 'more'
  #holdUntil = 0
  #window: { readonly since: number; bytes: number } | undefined
  /** A window that begins with a change measures the change, not the number. */
  #isSettling = true
  /** Windows in a row in which a trial brought too little. */
  #disappointments = 0
  #rate: number | undefined

  /** @param most connections that may be tried */
  constructor(most: number) {
    this.#most = Math.max(1, most)
    this.#connections = Math.min(FIRST_CONNECTIONS, this.#most)
    this.#best = { connections: this.#connections, rate: undefined }
  }

  /** How many connections there should be now. */
  get connections(): number {
    return this.#connections
  }

  /** Bytes per second of all connections together, as last measured. */
  get rate(): number | undefined {
    return this.#rate === undefined ? undefined : this.#rate * 1000
  }

  /** Tells that bytes arrived, and whether all connections were busy. */
  received(bytes: number, now: number, areAllBusy: boolean): void {
    if (this.#window === undefined || !areAllBusy) this.#window = { since: now, bytes: 0 }
    this.#window.bytes += bytes
    const elapsed = now - this.#window.since
    if (elapsed < WINDOW_MS) return
    const rate = this.#window.bytes / elapsed
    this.#window = { since: now, bytes: 0 }
    if (this.#isSettling) this.#isSettling = false
    else this.#judge(rate, now)
  }

  /** Tells that the server wants fewer requests. */
  easeOff(now: number): void {
    this.#best = { connections: Math.max(1, this.#connections >> 1), rate: undefined }
    this.#direction = 'fewer'
    this.#use(this.#best.connections)
    this.#holdUntil = now + HOLD_MS
  }

  #judge(rate: number, now: number): void {
    this.#rate = rate
    const isTrial = this.#best.rate !== undefined && this.#connections !== this.#best.connections
    const needed = (this.#best.rate ?? 0) * (this.#direction === 'more' ? GAIN : LOSS)
    if (isTrial && rate < needed) {
      this.#disappointments++
      if (this.#direction === 'more' && this.#disappointments < PATIENCE) return
      this.#use(this.#best.connections)
      this.#turn(now)
      return
    }
    this.#best = { connections: this.#connections, rate }
    if (now < this.#holdUntil) return
    const next = this.#direction === 'more' ? this.#connections * 2 : this.#connections >> 1
    const possible = Math.min(this.#most, Math.max(1, next))
    if (possible === this.#connections) this.#turn(now)
    else this.#use(possible)
  }

  /** Stays for a while; the next trial is in the other direction. */
  #turn(now: number): void {
    this.#direction = this.#direction === 'more' ? 'fewer' : 'more'
    this.#holdUntil = now + HOLD_MS
  }

  #use(connections: number): void {
    if (connections !== this.#connections) this.#isSettling = true
    this.#disappointments = 0
    this.#connections = connections
  }
}
