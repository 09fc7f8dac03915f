import { readdirSync, readFileSync } from 'node:fs'

/** What a process and all that it started hold in memory, in bytes. */
export interface TreeMemory {
  /** Resident pages, those that processes share counted once for each. */
  readonly rss: number
  /** The same, shared pages counted once in all. */
  readonly pss: number
}

const NOTHING: TreeMemory = { rss: 0, pss: 0 }

/** Watches a process tree until it is told to stop, and says the most that it saw. */
export function watchMemory(pid: number, everyMs = 100): { stop(): TreeMemory } {
  let peak = NOTHING
  const look = () => {
    const { rss, pss } = treeMemory(pid)
    peak = { rss: Math.max(peak.rss, rss), pss: Math.max(peak.pss, pss) }
  }
  const timer = setInterval(look, everyMs)
  return {
    stop() {
      clearInterval(timer)
      look()
      return peak
    },
  }
}

function treeMemory(root: number): TreeMemory {
  return [...treeOf(root)]
    .map(memoryOf)
    .reduce((a, b) => ({ rss: a.rss + b.rss, pss: a.pss + b.pss }))
}

function treeOf(root: number): Set<number> {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(name)) continue
    const stat = readProc(`/proc/${name}/stat`)
    parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
  }
  const tree = new Set([root])
  for (let size = 0; size !== tree.size; ) {
    size = tree.size
    for (const [pid, parent] of parents) if (tree.has(parent)) tree.add(pid)
  }
  return tree
}

export function memoryOf(pid: number): TreeMemory {
  const text = readProc(`/proc/${pid}/smaps_rollup`)
  const kiB = (name: string) => Number(new RegExp(`^${name}: +([0-9]+)`, 'm').exec(text)?.[1] ?? 0)
  return { rss: kiB('Rss') * 1024, pss: kiB('Pss') * 1024 }
}

/** Empty when the process has ended meanwhile. */
function readProc(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
