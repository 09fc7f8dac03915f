/** Unpacks a tar into files of form erofs, in a thread as a pull does; prints the most memory the process took, in bytes. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { parseDigest } from '#oci/digest.ts'
import { createPrefix } from '#puller/transfer/prefix.ts'
import { createWorkerPool } from '#puller/transfer/worker-pool.ts'

const [path = '', diffId = '', dir = ''] = process.argv.slice(2)

const { size } = statSync(path)
const digest = parseDigest(diffId)
const target = { form: 'erofs', tar: join(dir, 'tar'), image: join(dir, 'image') } as const
const pool = createWorkerPool({ size: 1, inflater: 'zlib' })
await pool.run({
  path,
  prefix: createPrefix(size),
  digest,
  size,
  unpack: { target, diffId: digest, asRoot: true },
})
await pool.close()
process.stdout.write(String(process.resourceUsage().maxRSS * 1024))
