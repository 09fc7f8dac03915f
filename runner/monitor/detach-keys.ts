import { DrayError } from '#oci/error.ts'

/** Ctrl-P Ctrl-Q, as docker has it. */
export const DEFAULT_DETACH_KEYS = 'ctrl-p,ctrl-q'

/**
 * Parses keys such as `ctrl-p,ctrl-q` or `a,b`; none when the text is empty.
 *
 * @returns the bytes that they send
 * @throws USAGE
 */
export function parseDetachKeys(text: string): Buffer {
  const keys = text === '' ? [] : text.split(',')
  return Buffer.from(
    keys.map((key) => {
      const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1]
      if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f
      if (/^[\x20-\x7e]$/.test(key)) return key.charCodeAt(0)
      throw new DrayError(
        'USAGE',
        `invalid key ${JSON.stringify(key)}: write a character or ctrl-X`,
      )
    }),
  )
}

/** Finds keys in what somebody types. Those that may be the beginning are held back until it is known. */
export class DetachDetector {
  readonly #keys: Buffer
  #matched = 0

  constructor(keys: Buffer) {
    this.#keys = keys
  }

  /** @returns what is to be handed on, and whether the keys were typed */
  feed(typed: Buffer): { readonly pass: Buffer; readonly isDetach: boolean } {
    if (this.#keys.length === 0) return { pass: typed, isDetach: false }
    const pass: number[] = []
    for (const byte of typed) {
      if (byte !== this.#keys[this.#matched]) {
        pass.push(...this.#keys.subarray(0, this.#matched))
        this.#matched = 0
      }
      if (byte !== this.#keys[this.#matched]) pass.push(byte)
      else if (++this.#matched === this.#keys.length)
        return { pass: Buffer.from(pass), isDetach: true }
    }
    return { pass: Buffer.from(pass), isDetach: false }
  }
}
