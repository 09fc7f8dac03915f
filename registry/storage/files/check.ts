import { randomUUID } from 'node:crypto'
import { access, mkdir, open, rename, rm, rmdir, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Check } from '../../check/findings.ts'
import type { RegistryConfig } from '../../config.ts'
import { openSqliteRecordDriver } from '../sqlite-record-driver.ts'
import { filesLayout } from './layout.ts'

/** Below this a single push may fill it. */
const LEAST_FREE = 1024 ** 3

/** File systems of a network by their magic numbers (statfs(2)), where SQLite's shared memory doesn't work. */
const NETWORK: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x01021997, '9P'],
  [0x00c36400, 'CephFS'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x5346414f, 'AFS'],
])
/** What the kernel shows as files; Node's `mkdir` never comes back from some of it. */
const KERNEL: ReadonlyMap<number, string> = new Map([
  [0x9fa0, 'proc'],
  [0x62656572, 'sysfs'],
  [0x27e0eb, 'cgroup'],
  [0x63677270, 'cgroup2'],
])
const VOLATILE: ReadonlyMap<number, string> = new Map([
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
])

/** All that a registry needs of a directory. */
export function directoryChecks({
  dataDir,
  readOnly,
}: Pick<RegistryConfig, 'dataDir' | 'readOnly'>): readonly Check[] {
  const needed = (name: string, run: (dir: string) => Promise<string>): Check => ({
    name,
    isNeeded: true,
    run: () =>
      run(dataDir).catch((cause: Error) => {
        if (!('errno' in cause)) throw cause
        throw new Error(
          `cannot use ${dataDir}: ${cause.message}; correct that, or choose another one (dataDir)`,
          { cause },
        )
      }),
  })
  if (readOnly) return [needed('file system', checkFileSystem), needed('records', readRecords)]
  return [
    needed('files', checkFiles),
    needed('file system', checkFileSystem),
    needed('records', checkRecords),
    { ...needed('free space', checkSpace), isNeeded: false },
  ]
}

/** Refuses file systems on which records would be lost. Says what kind it is. */
export async function checkFileSystem(dataDir: string): Promise<string> {
  const { type } = await statfs(await existing(dataDir))
  const kernel = KERNEL.get(type)
  if (kernel !== undefined) {
    throw new Error(
      `${dataDir} is in a file system of the kernel, ${kernel}: use another directory`,
    )
  }
  const network = NETWORK.get(type)
  if (network !== undefined) {
    throw new Error(
      `${dataDir} is on ${network}, where the locks of SQLite can't be trusted: use a directory of a local disk, or S3`,
    )
  }
  const name = VOLATILE.get(type)
  return name === undefined ? 'local' : `${name}: gone after a restart of the machine`
}

async function checkFiles(dataDir: string): Promise<string> {
  const layout = filesLayout(dataDir)
  return inside(dataDir, async () => {
    const name = `check-${randomUUID()}`
    const [from, to] = [join(layout.uploads, name), join(layout.blobs, name)]
    const started = performance.now()
    try {
      const file = await open(from, 'wx')
      try {
        await file.write('check')
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(from, to)
    } finally {
      for (const path of [from, to]) await rm(path, { force: true })
    }
    return `written, synced and renamed in ${Math.ceil(performance.now() - started)} ms`
  })
}

async function checkRecords(dataDir: string): Promise<string> {
  return inside(dataDir, async () => {
    const path = join(dataDir, `check-${randomUUID()}.sqlite`)
    try {
      const records = openSqliteRecordDriver(path)
      try {
        await records.put('key', Buffer.from('value'), { ifAbsent: true })
        const keys = await records.list('', { limit: 2 })
        if (keys.join() !== 'key')
          throw new Error(`SQLite does not find in ${dataDir} what it wrote`)
      } finally {
        await records.close()
      }
    } finally {
      for (const suffix of ['', '-wal', '-shm']) await rm(path + suffix, { force: true })
    }
    return 'SQLite writes and lists'
  })
}

async function readRecords(dataDir: string): Promise<string> {
  const { records: path } = filesLayout(dataDir)
  await access(path)
  const records = openSqliteRecordDriver(path, { readOnly: true })
  try {
    await records.list('', { limit: 1 })
  } finally {
    await records.close()
  }
  return 'SQLite reads them'
}

async function checkSpace(dataDir: string): Promise<string> {
  const { bavail, bsize, ffree, files } = await statfs(await existing(dataDir))
  const free = bavail * bsize
  const text = `${(free / LEAST_FREE).toFixed(1)} GiB free`
  if (free < LEAST_FREE) throw new Error(`${text}: make room, or choose another directory`)
  if (files > 0 && ffree === 0) throw new Error('no inodes are free: make room')
  return text
}

/** Works in a directory that may have to be made for it; what was made, and is empty, is gone afterwards. */
async function inside<T>(dataDir: string, work: () => Promise<T>): Promise<T> {
  await checkFileSystem(dataDir)
  const { uploads, blobs } = filesLayout(dataDir)
  const first = await mkdir(dataDir, { recursive: true })
  const made: string[] = []
  for (const dir of [uploads, blobs]) {
    if ((await mkdir(dir, { recursive: true })) !== undefined) made.push(dir)
  }
  for (let dir = dataDir; first !== undefined && dir.length >= first.length; dir = dirname(dir)) {
    made.push(dir)
  }
  try {
    return await work()
  } finally {
    for (const dir of made) await rmdir(dir).catch(() => {})
  }
}

/** The nearest directory that is there. */
async function existing(path: string): Promise<string> {
  try {
    await statfs(path)
    return path
  } catch (error) {
    if (dirname(path) === path) throw error
    return existing(dirname(path))
  }
}
