/** Prints a result: a line, or several, on standard output. */
export function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
}

/** Says something to the person at the terminal, on standard error. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`)
}
