import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { DrayError } from '#oci/error.ts'

/** Asks the person at the terminal. What is secret isn't shown. @throws USAGE when there is no terminal */
export async function ask(question: string, { isSecret = false } = {}): Promise<string> {
  const { stdin, stderr } = process
  if (!stdin.isTTY) {
    throw new DrayError(
      'USAGE',
      'standard input is no terminal: give --username and --password-stdin',
    )
  }
  stderr.write(question)
  const nothing = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({
    input: stdin,
    output: isSecret ? nothing : stderr,
    terminal: true,
  })
  try {
    return await lines.question('')
  } finally {
    lines.close()
    if (isSecret) stderr.write('\n')
  }
}
