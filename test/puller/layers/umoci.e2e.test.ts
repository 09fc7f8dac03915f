import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { digestHex, digestOf } from '#oci/digest.ts'
import { findFixups, writeFixups } from '#puller/layers/implied.ts'
import { compareTrees, describeTree, type TreeNode } from '../../support/tree.ts'
import { archive, directory, file, member } from '../tar/archive.ts'
import { extractInto, scratch } from './extraction.ts'

/** Writes an OCI image layout of uncompressed layers, tagged `latest`. */
function writeLayout(dir: string, layers: readonly Buffer[]): void {
  mkdirSync(join(dir, 'blobs/sha256'), { recursive: true })
  const put = (mediaType: string, bytes: Buffer) => {
    const digest = digestOf(bytes)
    writeFileSync(join(dir, 'blobs/sha256', digestHex(digest)), bytes)
    return { mediaType: `application/vnd.oci.image.${mediaType}`, digest, size: bytes.length }
  }
  const json = (value: unknown) => Buffer.from(JSON.stringify(value))
  const config = {
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => digestOf(layer)) },
    history: [],
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: put('config.v1+json', json(config)),
    layers: layers.map((layer) => put('layer.v1.tar', layer)),
  }
  const descriptor = put('manifest.v1+json', json(manifest))
  const annotations = { 'org.opencontainers.image.ref.name': 'latest' }
  const index = { schemaVersion: 2, manifests: [{ ...descriptor, annotations }] }
  writeFileSync(join(dir, 'index.json'), json(index))
  writeFileSync(join(dir, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }))
}

function unpackByUmoci(dir: string, layers: readonly Buffer[]): TreeNode[] {
  writeLayout(join(dir, 'image'), layers)
  const image = `${join(dir, 'image')}:latest`
  execFileSync('umoci', ['unpack', '--image', image, join(dir, 'bundle')], { stdio: 'pipe' })
  return describeTree(join(dir, 'bundle/rootfs'))
}

function unpackByUs(dir: string, layers: readonly Buffer[]): TreeNode[] {
  const stack = layers.map((layer, index) => {
    const at = join(dir, String(index))
    return { dir: at, ...extractInto(at, layer, { asRoot: true }) }
  })
  const fixups = join(dir, 'fixups')
  const [merged, empty] = [join(dir, 'merged'), join(dir, 'empty')]
  for (const made of [fixups, merged, empty]) mkdirSync(made)
  const plan = findFixups(stack)
  writeFixups(plan, fixups)
  const lowest = stack.findLastIndex(({ opaqueRoot }) => opaqueRoot)
  const visible = stack.slice(Math.max(lowest, 0)).map((layer) => layer.dir)
  const lower = [...(plan.length > 0 ? [fixups] : []), ...visible.toReversed(), empty].join(':')
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=${lower}`, merged])
  try {
    return describeTree(merged)
  } finally {
    execFileSync('umount', [merged])
  }
}

interface Part {
  readonly kind: 'directory' | 'file' | 'other file' | 'whiteout' | 'file whiteout' | 'opaque'
  readonly path: string
  readonly mode: number
  readonly uid: number
}

const part: fc.Arbitrary<Part> = fc.record({
  kind: fc.constantFrom(
    ...(['directory', 'directory', 'file', 'file', 'other file'] as const),
    ...(['whiteout', 'file whiteout', 'opaque'] as const),
  ),
  path: fc.constantFrom('a', 'b', 'a/b', 'a/c', 'a/b/c', 'b/d'),
  // What umoci makes up in a setgid directory inherits that.
  mode: fc.nat({ max: 0o7777 }).map((mode) => mode & 0o5777),
  uid: fc.nat({ max: 2_000_000 }),
})

/**
 * A layer as builders write it, which is where umoci's answer doesn't depend on accidents: whiteouts first, outer ones before
 * inner ones, and marks only in directories that the layer lists.
 */
function encodeLayer(parts: readonly Part[]): Buffer {
  const rank = ({ kind }: Part) => ['whiteout', 'opaque', 'file whiteout'].indexOf(kind) >>> 0
  const sorted = parts.toSorted((a, b) => rank(a) - rank(b) || (a.path < b.path ? -1 : 1))
  return archive(...sorted.flatMap(encode))
}

function encode({ kind, path, mode, uid }: Part): Buffer[] {
  const parent = path.includes('/') ? [directory(`${path.slice(0, path.lastIndexOf('/'))}/`)] : []
  if (kind === 'directory') return [member({ name: `${path}/`, type: '5', mode, uid })]
  if (kind === 'file') return [file(`${path}/f`, path)]
  if (kind === 'other file') return [file(`${path}/g`, 'other')]
  if (kind === 'whiteout') return [...parent, file(path.replace(/([^/]+)$/, '.wh.$1'))]
  const mark = kind === 'opaque' ? '.wh..wh..opq' : '.wh.f'
  return [directory(`${path}/`), file(`${path}/${mark}`)]
}

describe('a stack of layers under overlay with its fix-up', () => {
  const layer = fc.uniqueArray(part, {
    maxLength: 6,
    selector: ({ kind, path }) => `${kind} ${path}`,
  })

  it('shows the tree that umoci unpacks', (t) => {
    const dir = scratch(t)
    const base = archive(
      directory('./'),
      ...['a', 'a/b', 'b'].map((path) => directory(`${path}/`, 0o751)),
      ...['a/f', 'a/b/f', 'a/b/c/f', 'b/d/g'].map((path) => file(path, path)),
    )
    fc.assert(
      fc.property(fc.array(layer, { minLength: 1, maxLength: 4 }), (uppers) => {
        rmSync(join(dir, 'case'), { recursive: true, force: true })
        mkdirSync(join(dir, 'case'))
        const layers = [base, ...uppers.map(encodeLayer)]
        const theirs = unpackByUmoci(join(dir, 'case'), layers)
        const ours = unpackByUs(join(dir, 'case'), layers)
        // umoci touches the parents of directories that it has to make up.
        assert.deepEqual(compareTrees(ours, theirs, ['mtimeNs']), [])
      }),
      { numRuns: 100 },
    )
  })
})
