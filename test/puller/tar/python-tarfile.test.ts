/** What is in an archive, as Python's tarfile sees it. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { digestOf } from '#oci/digest.ts'
import { isDrayError } from '#oci/error.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { randomLayer } from '../layers/random-layer.ts'
import { archive } from './archive.ts'
import { type Collected, collect } from './collect.ts'

const skip = spawnSync('python3', ['--version']).status !== 0 && 'there is no python3'
const ARCHIVES = 500

const TYPES: Readonly<Record<string, Collected['type']>> = {
  ...{ 0: 'file', 1: 'hardlink', 2: 'symlink', 3: 'character', 4: 'block', 5: 'directory' },
  ...{ 6: 'fifo', S: 'file' },
}

/** Lists the archives whose paths are on standard input, a JSON list a line; null for what Python fails on. */
const LIST = `
import hashlib, json, sys, tarfile
def listed(path):
    with tarfile.open(path, 'r:', encoding='latin-1') as tar:
        return [[
            m.name, 'S' if m.issparse() else m.type.decode(), m.mode & 0o7777, m.uid, m.gid, round(m.mtime, 6), m.linkname,
            m.size if m.isfile() else 0,
            [m.devmajor, m.devminor] if m.isdev() and not m.isfifo() else [0, 0],
            'sha256:' + hashlib.sha256(tar.extractfile(m).read() if m.isfile() else b'').hexdigest(),
        ] for m in tar]
for path in sys.stdin.read().split():
    try:
        print(json.dumps(listed(path)))
    except Exception:
        print('null')
`

/** Writes trees of all kinds of entries in each of its formats, and lists them in the same form. */
const WRITE = `
import io, random, sys, tarfile
random.seed(1)
for number in range(int(sys.argv[2])):
    form = random.choice([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    big = form != tarfile.USTAR_FORMAT
    with tarfile.open(f'{sys.argv[1]}/{number}', 'w:', format=form, encoding='latin-1') as tar:
        for at in range(random.randrange(12)):
            m = tarfile.TarInfo(f'{at}' + random.choice(['x', 'x' if form == tarfile.PAX_FORMAT else 'é']) * random.choice([1, 90, 97] + [100, 101, 300] * big))
            m.type = random.choice([tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
            m.mode = random.randrange(0o10000)
            m.uid, m.gid = (random.choice([0, 1000, 2097151] + [2097152, 4000000000] * big) for _ in 'ug')
            m.mtime = random.choice([0, 1, 1700000000] + [2 ** 33] * big + [1.5, -1.5] * (form == tarfile.PAX_FORMAT))
            m.devmajor, m.devminor = random.randrange(4096), random.randrange(2 ** 20)
            if m.type in (tarfile.LNKTYPE, tarfile.SYMTYPE): m.linkname = 't' * random.choice([1, 100] + [101, 5000 // 2] * big)
            content = random.randbytes(random.choice([0, 1, 511, 512, 513, 3000])) if m.isreg() else b''
            m.size = len(content)
            tar.addfile(m, io.BytesIO(content))
`

type Listed = readonly (string | number | readonly number[])[]

function listedByPython(paths: readonly string[]): (Listed[] | undefined)[] {
  const input = paths.join('\n')
  const text = execFileSync('python3', ['-c', LIST], { input, maxBuffer: 1 << 28 }).toString()
  return text.trimEnd().split('\n').map(parseList)
}

function parseList(line: string): Listed[] | undefined {
  return (JSON.parse(line) as Listed[] | null)?.map(([name, type, ...rest]) => [
    String(name),
    TYPES[String(type)] ?? String(type),
    ...rest,
  ])
}

function listedByUs(bytes: Buffer): Listed[] {
  return collect(bytes).map((entry) => [
    entry.path.replace(/\/+$/, ''),
    entry.type,
    entry.mode,
    entry.uid,
    entry.gid,
    Number((entry.mtime.seconds + entry.mtime.nanoseconds / 1e9).toFixed(6)),
    entry.linkPath ?? '',
    entry.size,
    [entry.devMajor, entry.devMinor],
    digestOf(Buffer.from(entry.content, 'latin1')),
  ])
}

describe('the tar reader beside Python', { skip }, () => {
  it('sees in random archives that it takes what Python sees', (t) => {
    const dir = tempDir(t)
    const taken = fc
      .sample(randomLayer, { numRuns: ARCHIVES, seed: 1 })
      .map((parts) => archive(...parts))
      .flatMap((bytes) => {
        try {
          return [{ bytes, listed: listedByUs(bytes) }]
        } catch (error) {
          assert.ok(isDrayError(error), String(error))
          return []
        }
      })
    assert.ok(taken.length > ARCHIVES / 3, `only ${taken.length} of them`)
    const paths = taken.map((_, at) => join(dir, String(at)))
    for (const [at, { bytes }] of taken.entries()) writeFileSync(paths[at] ?? '', bytes)
    let compared = 0
    for (const [at, listed] of listedByPython(paths).entries()) {
      if (listed === undefined) continue
      assert.deepEqual(taken[at]?.listed, listed)
      compared++
    }
    assert.ok(compared > ARCHIVES / 3, `only ${compared} of them`)
  })

  it('sees in the archives that Python writes what was written', (t) => {
    const dir = tempDir(t)
    execFileSync('python3', ['-c', WRITE, dir, String(ARCHIVES)])
    const paths = Array.from({ length: ARCHIVES }, (_, at) => join(dir, String(at)))
    for (const [at, listed] of listedByPython(paths).entries()) {
      assert.deepEqual(listedByUs(readFileSync(paths[at] ?? '')), listed)
    }
  })
})
