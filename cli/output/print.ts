/** Prints a result: a line, or several, on standard output. */
export function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
}

/** Says something to the person at the terminal, on standard error. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** Says what is wrong, or may be. */
export function complain(message: string): void {
  say(`dray: ${message}`)
}

/** Writes bytes, and waits until they are on their way. */
export function writeTo(stream: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    if (stream.write(bytes)) resolve()
    else stream.once('drain', resolve)
  })
}
