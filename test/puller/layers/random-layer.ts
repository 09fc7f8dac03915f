import fc from 'fast-check'
import { directory, file, hardlink, header, long, member, pax, symlink } from '../tar/archive.ts'

const NAMES = ['a', 'b', 'c', 'd', '..', '.', '.wh.a', '.wh.b', '.wh..wh..opq', 'l'.repeat(255)]

const name = fc.constantFrom(...NAMES)

const path = fc
  .tuple(fc.boolean(), fc.array(name, { minLength: 1, maxLength: 4 }))
  .map(([isAbsolute, names]) => (isAbsolute ? '/' : '') + names.join('/'))

const plainPath = fc
  .array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1, maxLength: 4 })
  .map((names) => names.join('/'))

const owner = fc.record({
  mode: fc.nat({ max: 0o7777 }),
  uid: fc.constantFrom(0, 1, 65_535, 65_536, 2_000_000),
  gid: fc.constantFrom(0, 1, 65_535, 65_536, 2_000_000),
  mtime: fc.constantFrom(0, 1_000_000_000, 1_000_000_001),
})

/** user::rw-, user:1000:r--, group::r--, mask::rwx, other::--- (acl(5), linux/posix_acl_xattr.h) */
const ACL = Buffer.from(
  '0200000001000600ffffffff02000400e803000004000400ffffffff10000700ffffffff20000000ffffffff',
  'hex',
)
const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex')

const attributes = fc
  .subarray([
    ['SCHILY.xattr.user.n', 'v'],
    ['SCHILY.xattr.trusted.n', 'x'.repeat(500)],
    ['SCHILY.xattr.trusted.overlay.opaque', 'y'],
    ['SCHILY.xattr.security.capability', CAPABILITY],
    ['SCHILY.xattr.system.posix_acl_access', ACL],
    ['SCHILY.xattr.unknown.n', 'v'],
    ['mtime', '1.5'],
    ['mtime', '-3.000000001'],
    ['uid', '4000000000'],
  ] as (readonly [string, string | Buffer])[])
  .map((records) => (records.length === 0 ? Buffer.alloc(0) : pax(...records)))

const content = fc.oneof(
  fc.constantFrom('', 'x', 'y'.repeat(511), 'z'.repeat(512), 'w'.repeat(5000)),
  fc.string({ maxLength: 2000 }),
)

const sparse = fc
  .array(
    fc.tuple(fc.constantFrom(0, 1, 100, 512, 4096, 70_000), fc.constantFrom(1, 511, 512, 4096)),
    {
      maxLength: 6,
    },
  )
  .chain((steps) => fc.tuple(fc.constant(steps), plainPath, fc.constantFrom(0, 1, 100_000)))
  .map(([steps, at, rest]) => sparseFile(at, steps, rest))

/** Makes an entry, with its name and target in an extended header where a header has no room for them. */
function named(make: (at: string, to: string) => Buffer, at: string, to = ''): Buffer {
  if (Math.max(at.length, to.length) <= 100) return make(at, to)
  return Buffer.concat([pax(['path', at], ['linkpath', to]), make('long', 'long')])
}

/** One entry of an archive, hostile or not. */
const entry = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(path, content).map(([at, text]) => named((name) => file(name, text), at)),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(attributes, plainPath, owner, content)
      .map(([extra, at, fields, text]) =>
        Buffer.concat([extra, member({ name: at, ...fields }, text)]),
      ),
  },
  { weight: 2, arbitrary: path.map((at) => named((name) => directory(name, 0o777), `${at}/`)) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(attributes, plainPath, owner)
      .map(([extra, at, fields]) =>
        Buffer.concat([extra, header({ name: `${at}/`, type: '5', ...fields })]),
      ),
  },
  { weight: 2, arbitrary: fc.tuple(path, path).map(([at, to]) => named(symlink, at, to)) },
  fc
    .tuple(plainPath, fc.constantFrom(1, 100, 400, 511, 512, 513, 1000, 4095))
    .map(([at, length]) =>
      Buffer.concat([long('K', 't'.repeat(length)), header({ name: at, type: '2' })]),
    ),
  { weight: 2, arbitrary: fc.tuple(path, path).map(([at, to]) => named(hardlink, at, to)) },
  fc
    .tuple(attributes, plainPath, fc.constantFrom('3', '4', '6'), owner)
    .map(([extra, at, type, fields]) =>
      Buffer.concat([extra, header({ name: at, type, major: 300, minor: 70_000, ...fields })]),
    ),
  { weight: 2, arbitrary: sparse },
  fc.tuple(plainPath, fc.nat({ max: 60 })).map(([at, count]) => manyFiles(at, count)),
)

/** The entries of a layer: any names, in any order, crossing one another. */
export const randomLayer = fc.array(entry, { maxLength: 14 })

/** A sparse file in PAX format 0.1: `steps` are lengths of a hole and of the data behind it. */
export function sparseFile(
  name: string,
  steps: readonly (readonly [hole: number, data: number])[],
  rest = 0,
): Buffer {
  const map: number[] = []
  let end = 0
  for (const [hole, data] of steps) {
    map.push(end + hole, data)
    end += hole + data
  }
  const stored = Buffer.alloc(steps.reduce((sum, [, data]) => sum + data, 0))
  for (let at = 0; at < stored.length; at++) stored[at] = 1 + ((at * 7) % 251)
  return Buffer.concat([
    pax(['GNU.sparse.size', String(end + rest)], ['GNU.sparse.map', map.join(',')]),
    member({ name }, stored),
  ])
}

function manyFiles(directory: string, count: number): Buffer {
  const names = Array.from({ length: count }, (_, at) => `${directory}/${'n'.repeat(at % 40)}${at}`)
  return Buffer.concat(names.map((name) => file(name, name)))
}
