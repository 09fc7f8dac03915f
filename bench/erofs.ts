/**
 * Compares the two forms of the layer store with an image of an OCI layout, each time on a fresh ext4: unpacking what is
 * already fetched, reading every file through overlay with cold and with warm caches, removing the layers. Prints medians,
 * and the ratio of erofs to dir.
 *
 *     node bench/erofs.ts [--rounds 5] [--dir DIR] LAYOUT[:NAME]
 *
 * Needs root and skopeo.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatTable } from '#cli/output/format.ts'
import { parseReference } from '#oci/reference.ts'
import { holdLayers, openStore, prepareRootfs } from '#puller/index.ts'
import { mountOverlay, unmountIdle } from '#puller/mounting.ts'
import { onFreshDisk, run } from './support/fresh-disk.ts'
import { parseLayout } from './support/layout.ts'
import { median } from './support/median.ts'

const FORMS = ['dir', 'erofs'] as const
const STEPS = ['unpack', 'read cold', 'read warm', 'remove'] as const

type Times = Readonly<Record<(typeof STEPS)[number], number>>

const { values, positionals } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    dir: { type: 'string', default: tmpdir() },
  },
  allowPositionals: true,
})
const [layout] = positionals
const rounds = Number(values.rounds)
if (layout === undefined || !(rounds > 0)) {
  console.error('usage: node bench/erofs.ts [--rounds N] [--dir DIR] LAYOUT[:NAME]')
  process.exit(2)
}
const { source } = parseLayout(layout)
const image = parseReference('localhost/bench:1')

async function timed(work: () => Promise<unknown> | unknown): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

async function measure(dir: string, form: (typeof FORMS)[number]): Promise<Times> {
  const store = await openStore(join(dir, 'store'), { layerStore: form })
  const name = 'localhost/bench:1'
  const { content } = store.layout
  run(['skopeo', '--insecure-policy', 'copy', '-q', `oci:${source}`, `oci:${content}:${name}`])
  const unpack = await timed(async () => {
    await prepareRootfs(store, image)
    run(['sync', '-f', dir])
  })
  const [merged, empty] = [join(dir, 'merged'), join(dir, 'empty')]
  for (const path of [merged, empty]) mkdirSync(path)
  const { lowerDirs } = await prepareRootfs(store, image)
  writeFileSync('/proc/sys/vm/drop_caches', '3')
  const held = await holdLayers(store.layout, lowerDirs)
  mountOverlay([...lowerDirs.toReversed(), empty], merged)
  const cold = await timed(() => readAll(merged))
  const warm = await timed(() => readAll(merged))
  unmountIdle(merged)
  await held.release()
  const remove = await timed(() => {
    rmSync(store.layout.layers, { recursive: true })
    run(['sync', '-f', dir])
  })
  return { unpack, 'read cold': cold, 'read warm': warm, remove }
}

function readAll(dir: string): void {
  execFileSync('sh', ['-c', 'find "$0" -xdev -type f -print0 | xargs -0 cat > /dev/null', dir])
}

const dir = mkdtempSync(join(values.dir, 'dray-bench-'))
try {
  const times = new Map(FORMS.map((form) => [form, [] as Times[]]))
  // The first round warms the caches and doesn't count.
  for (let round = 0; round <= rounds; round++) {
    for (const [form, list] of times) {
      const result = await onFreshDisk(dir, (disk) => measure(disk, form))
      if (round > 0) list.push(result)
    }
  }
  const rows = STEPS.map((step) => {
    const [files = 0, erofs = 0] = [...times.values()].map((list) =>
      median(list.map((result) => result[step])),
    )
    const seconds = [files, erofs].map((ms) => `${(ms / 1000).toFixed(3)}s`)
    return [step, ...seconds, `${(erofs / files).toFixed(2)}x`]
  })
  const title = basename(source)
  console.log(`medians of ${rounds}\n${formatTable([[title, ...FORMS, 'erofs / dir'], ...rows])}`)
} finally {
  rmSync(dir, { recursive: true, force: true })
}
