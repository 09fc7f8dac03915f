/**
 * Compares the trees that Dray, in both forms of its layer store, and containerd make of images, file by file: types, modes, owners,
 * dates, sizes, contents, hard links, devices, extended attributes. Prints how many files there are and each difference, but for dates
 * of directories that containerd made up.
 *
 *     node bench/trees.ts [--dir DIR] [--prefix 'chroot DIR'] LAYOUT[:NAME]...
 *
 * LAYOUT is an OCI image layout. Needs root. `--prefix` runs containerd in another root, in which DIR must be visible too, with what
 * will be mounted there.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { redated, startContainerd, treeByContainerd } from '../test/support/containerd.ts'
import { LAUNCHER } from '../test/support/dray.ts'
import { mountMerged } from '../test/support/merged-tree.ts'
import { compareTrees, describeTree } from '../test/support/tree.ts'
import { onFreshDisk, run } from './support/fresh-disk.ts'
import { parseLayout } from './support/layout.ts'
import { startDray } from './support/registries.ts'

const { values, positionals } = parseArgs({
  options: {
    dir: { type: 'string', default: tmpdir() },
    prefix: { type: 'string', default: '' },
  },
  allowPositionals: true,
})
if (positionals.length === 0) {
  console.error('usage: node bench/trees.ts [--dir DIR] [--prefix COMMAND] LAYOUT[:NAME]...')
  process.exit(2)
}
const prefix = values.prefix.split(' ').filter((word) => word !== '')

async function treeByDray(root: string, layerStore: string, image: string) {
  run([LAUNCHER, 'pull', '-q', '--layer-store', layerStore, '--root', root, image])
  const { merged, end } = await mountMerged(root, image)
  try {
    return describeTree(merged)
  } finally {
    await end()
  }
}

/** @returns whether all trees are equal */
async function compare(image: string, dir: string): Promise<boolean> {
  return await onFreshDisk(dir, async (disk) => {
    const started = new Date()
    const containerd = await startContainerd(disk, prefix)
    try {
      const theirs = await treeByContainerd(containerd, image, join(disk, 'tree'))
      let areEqual = true
      for (const layerStore of ['erofs', 'dir']) {
        const ours = await treeByDray(join(disk, layerStore), layerStore, image)
        const differences = compareTrees(ours, redated(theirs, ours, started))
        areEqual &&= differences.length === 0
        const found = differences.length === 0 ? 'equal' : `${differences.length} differences`
        console.log(`${basename(image)} ${layerStore}: ${ours.length} files, ${found}`)
        for (const difference of differences) console.log(`  ${difference}`)
      }
      return areEqual
    } finally {
      await containerd.end()
    }
  })
}

const dir = mkdtempSync(join(values.dir, 'dray-bench-'))
const registry = await startDray({ dir: join(dir, 'registry'), args: ['--log-level', 'silent'] })
try {
  for (const layout of positionals) {
    const { source, name } = parseLayout(layout)
    const image = `127.0.0.1:${registry.port}/${name}:1`
    run([LAUNCHER, 'push', '-q', `oci:${source}`, image])
    if (!(await compare(image, dir))) process.exitCode = 1
  }
} finally {
  await registry.stop()
  rmSync(dir, { recursive: true, force: true })
}
