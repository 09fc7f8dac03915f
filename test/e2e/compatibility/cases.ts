type Case = readonly [title: string, script: string]

/** Title and steps of each case, by area; see compare.ts for how they are read. */
export type Cases = Readonly<Record<string, readonly Case[]>>

/** Cases whose scripts one container runs, one after the other: its start takes far longer than what they look at. */
export function together(run: string, cases: readonly Case[]): Case[] {
  const scripts = cases.map(([, script]) => `'${script}'`).join(' ')
  const step = `${run} sh -c 'for script; do sh -c "$script"; echo "=== $?"; done' sh ${scripts}`
  return cases.map(([title], at) => [title, `@${at} ${step}`])
}

/** What was said by the script of that number, and its exit code. */
export function partOf(stdout: string, at: number): { stdout: string; code: number } | undefined {
  const parts = stdout.split(/=== (\d+)\n/)
  const code = parts[2 * at + 1]
  return code === undefined ? undefined : { stdout: parts[2 * at] ?? '', code: Number(code) }
}
