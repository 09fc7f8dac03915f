import { readFileSync, statSync } from 'node:fs'
import { DrayError, errorMessage } from '#oci/error.ts'

/** The bcrypt hash of each user. */
export type Passwords = ReadonlyMap<string, string>

const FILE_LIMIT = 10 * 1024 * 1024
const BCRYPT = /^\$2[abxy]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}$/
const NAME = /^[^\s:/*][^:\p{Cc}]{0,254}$/u

/**
 * Reads a file of `htpasswd -B`: a user and a bcrypt hash a line; empty lines and those with `#` in front don't count.
 * Errors name the line, never what it holds.
 *
 * @throws CONFIG_INVALID
 */
export function parseHtpasswd(text: string): Passwords {
  const passwords = new Map<string, string>()
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(colon, 0))
    const hash = line.slice(colon + 1).trim()
    const wrong = (why: string) => new DrayError('CONFIG_INVALID', `line ${i + 1}: ${why}`)
    if (!NAME.test(name)) throw wrong('it must be <user>:<bcrypt hash>')
    if (!BCRYPT.test(hash)) {
      throw wrong('the hash must be bcrypt with a cost of 4 to 16: make it with htpasswd -B')
    }
    if (passwords.has(name)) throw wrong('the user stands on an earlier line, too')
    passwords.set(name, hash)
  }
  return passwords
}

/** @throws CONFIG_INVALID */
export function readHtpasswd(path: string): Passwords {
  try {
    if (statSync(path).size > FILE_LIMIT) throw new Error(`it has more than ${FILE_LIMIT} bytes`)
    return parseHtpasswd(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new DrayError(
      'CONFIG_INVALID',
      `cannot use the htpasswd file ${path}: ${errorMessage(cause)}`,
      { cause },
    )
  }
}
