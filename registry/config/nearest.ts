/** Names further off than this are no slips of the pen. */
const MOST_EDITS = 3

/** The name that someone who wrote `word` probably meant: the one fewest edits away, if they are few. */
export function nearestName(word: string, names: readonly string[]): string | undefined {
  const written = word.toLowerCase()
  const [best] = names
    .map((name) => ({ name, edits: editsBetween(written, name.toLowerCase()) }))
    .filter(({ name, edits }) => edits <= Math.min(MOST_EDITS, name.length / 2))
    .sort((a, b) => a.edits - b.edits)
  return best?.name
}

/** Insertions, deletions and substitutions that make `b` of `a` (Levenshtein). */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j++) {
      const substituted = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1)
      next.push(Math.min(substituted, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
