/** A range of ids of the host that somebody may give to namespaces. */
export interface SubIdRange {
  readonly first: number
  readonly count: number
}

/** Parses subuid(5), `NAME:FIRST:COUNT` a line: the ranges of somebody, who may be there by several names. Pure. */
export function parseSubIds(text: string, names: readonly string[]): SubIdRange[] {
  return text.split('\n').flatMap((line) => {
    const [, who, first, count] = /^([^#:]+):(\d{1,10}):(\d{1,10})\s*$/.exec(line) ?? []
    if (who === undefined || !names.includes(who)) return []
    return [{ first: Number(first), count: Number(count) }]
  })
}
