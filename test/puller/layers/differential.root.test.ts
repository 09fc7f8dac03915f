import assert from 'node:assert/strict'
import {
  chmodSync,
  lchownSync,
  linkSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { FILE_TYPE, mknod, setTimes, setXattr } from '#puller/sys.ts'
import { writeTar } from '#puller/tar/writer.ts'
import { compareTrees, describeTree } from '../../support/tree.ts'
import { extractInto, scratch } from './extraction.ts'
import { gnuCreate, gnuExtract } from './gnu-tar.ts'

const KINDS = ['file', 'directory', 'symlink', 'hardlink', 'character', 'block', 'fifo'] as const

interface Item {
  readonly kind: (typeof KINDS)[number]
  readonly name: string
  /** Which of the directories, and of the files for a hard link, made so far. */
  readonly parent: number
  readonly link: number
  readonly content: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly seconds: number
  readonly nanoseconds: number
  readonly xattrs: Readonly<Record<string, string>>
}

const bytes = (maxLength: number) =>
  fc
    .array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength })
    .map((codes) => String.fromCharCode(...codes))

const fileName = bytes(60)
  .map((name) => name.replaceAll('/', '_'))
  .filter((name) => name !== '.' && name !== '..' && !name.startsWith('.wh.'))

const id = fc.oneof(fc.constantFrom(0, 1, 65_534, 2_097_152), fc.nat({ max: 2 ** 32 - 2 }))

const item: fc.Arbitrary<Item> = fc.record({
  kind: fc.constantFrom(...KINDS, 'file' as const, 'directory' as const),
  name: fileName,
  parent: fc.nat(),
  link: fc.nat(),
  content: fc.oneof(
    bytes(40),
    bytes(40).map((text) => text.repeat(100)),
  ),
  mode: fc.nat({ max: 0o7777 }),
  uid: id,
  gid: id,
  seconds: fc.oneof(fc.integer({ min: -1000, max: 2 ** 31 }), fc.constant(2 ** 33)),
  nanoseconds: fc.oneof(fc.constant(0), fc.nat({ max: 999_999_999 })),
  // GNU tar escapes neither = nor % in names of attributes.
  xattrs: fc.dictionary(fc.constantFrom('user.a', 'user.b.c', 'trusted.x'), bytes(30), {
    maxKeys: 2,
  }),
})

/** Makes the items that can be made; attributes come last, since the order of children must not matter. */
function makeTree(dir: string, items: readonly Item[]): void {
  mkdirSync(dir)
  const directories = [Buffer.from(dir)]
  const leaves: Buffer[] = []
  const made: (readonly [Buffer, Item])[] = []
  for (const one of items) {
    const parent = directories[one.parent % directories.length] ?? Buffer.from(dir)
    const path = Buffer.concat([parent, Buffer.from(`/${one.name}`, 'latin1')])
    if (!make(path, one, leaves)) continue
    if (one.kind === 'directory') directories.push(path)
    else leaves.push(path)
    if (one.kind !== 'hardlink') made.push([path, one])
  }
  for (const [path, one] of made.toReversed()) setAttributes(path, one)
  setTimes(Buffer.from(dir), 1000, 0)
}

function make(path: Buffer, one: Item, leaves: readonly Buffer[]): boolean {
  try {
    if (one.kind === 'directory') mkdirSync(path)
    else if (one.kind === 'symlink') symlinkSync(Buffer.from(one.content, 'latin1'), path)
    else if (one.kind === 'hardlink') linkSync(leaves[one.link % leaves.length] ?? '', path)
    else if (one.kind === 'file') writeFileSync(path, one.content, { flag: 'wx' })
    else mknod(path, FILE_TYPE[one.kind] | 0o600, one.kind === 'fifo' ? 0 : 1, one.link % 256)
    return true
  } catch {
    return false // a name or a path that is taken or too long
  }
}

function setAttributes(path: Buffer, one: Item): void {
  lchownSync(path, one.uid, one.gid)
  if (one.kind === 'file' || one.kind === 'directory') {
    for (const [name, value] of Object.entries(one.xattrs)) {
      setXattr(path, name, Buffer.from(value, 'latin1'))
    }
  }
  if (one.kind !== 'symlink') chmodSync(path, one.mode)
  setTimes(path, one.seconds, one.nanoseconds)
}

const XATTRS = ['--xattrs', '--xattrs-include=*']

async function ownArchive(dir: string): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(writeTar(dir)))
}

describe('a random tree', () => {
  const trees = fc.array(item, { maxLength: 25 })

  it('is unpacked from GNU tar’s PAX archive as GNU tar does it', async (t) => {
    const dir = scratch(t)
    fc.assert(
      fc.property(trees, (items) => {
        const [source, ours, theirs] = ['source', 'ours', 'theirs'].map((name) => join(dir, name))
        for (const path of [source, ours, theirs])
          rmSync(path ?? '', { recursive: true, force: true })
        makeTree(source ?? '', items)
        const tar = gnuCreate(source ?? '', '--format=posix', '--numeric-owner', ...XATTRS)
        extractInto(ours ?? '', tar, { asRoot: true })
        gnuExtract(theirs ?? '', tar, '--numeric-owner', '--same-owner', ...XATTRS)
        // Not with the source: GNU tar forgets hard links between fifos and between devices.
        assert.deepEqual(compareTrees(describeTree(ours ?? ''), describeTree(theirs ?? '')), [])
      }),
      { numRuns: 120 },
    )
  })

  it('survives our archive, unpacked by us and by GNU tar, and archived again', async (t) => {
    const dir = scratch(t)
    await fc.assert(
      fc.asyncProperty(trees, async (items) => {
        const [source, ours, theirs] = ['source', 'ours', 'theirs'].map((name) => join(dir, name))
        for (const path of [source, ours, theirs])
          rmSync(path ?? '', { recursive: true, force: true })
        makeTree(source ?? '', items)
        const expected = describeTree(source ?? '')
        const tar = await ownArchive(source ?? '')
        extractInto(ours ?? '', tar, { asRoot: true })
        gnuExtract(theirs ?? '', tar, '--numeric-owner', '--same-owner', ...XATTRS)
        assert.deepEqual(compareTrees(describeTree(ours ?? ''), expected), [])
        assert.deepEqual(compareTrees(describeTree(theirs ?? ''), expected), [])
        assert.ok((await ownArchive(ours ?? '')).equals(tar))
      }),
      { numRuns: 120 },
    )
  })
})
