import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DrayError, errorMessage } from '#oci/error.ts'
import { type CdiEdits, type CdiSpec, parseCdiSpec, parseCdiYaml } from './parse.ts'

/** Where vendors and their tools put what they know of devices. What is in a later one wins. */
export const CDI_DIRS = ['/etc/cdi', '/var/run/cdi']

interface Known {
  /** By their full names. */
  readonly devices: ReadonlyMap<string, Found>
  /** What can't be used, and why. */
  readonly problems: readonly string[]
}

interface Found {
  readonly spec: CdiSpec
  readonly edits: CdiEdits | undefined
  /** Of several in one directory none counts. */
  readonly rival?: string | undefined
  readonly path: string
}

/**
 * What devices of vendors need of a container, in the order to be applied: what all of a file need comes once, before the
 * first of its devices.
 *
 * @throws CDI_UNKNOWN for a device that no file has, or several of one directory
 */
export async function findCdiEdits(
  names: readonly string[],
  dirs: readonly string[] = CDI_DIRS,
): Promise<CdiEdits[]> {
  const known = await readAll(dirs)
  const seen = new Set<CdiSpec>()
  return [...new Set(names)].flatMap((name) => {
    const found = known.devices.get(name)
    if (found === undefined) throw unknown(name, known, dirs)
    if (found.rival !== undefined) {
      throw new DrayError('CDI_UNKNOWN', `${name} is in ${found.rival} and in ${found.path}`)
    }
    const shared = seen.has(found.spec) ? [] : [found.spec.containerEdits]
    seen.add(found.spec)
    return [...shared, found.edits].filter((edits) => edits !== undefined)
  })
}

async function readAll(dirs: readonly string[]): Promise<Known> {
  const devices = new Map<string, Found>()
  const problems: string[] = []
  for (const dir of dirs) {
    const inDir = new Map<string, Found>()
    for (const path of filesIn(dir)) {
      try {
        for (const [name, found] of await devicesIn(path)) {
          inDir.set(name, { ...found, rival: inDir.get(name)?.path })
        }
      } catch (error) {
        problems.push(`${path}: ${errorMessage(error)}`)
      }
    }
    for (const [name, found] of inDir) devices.set(name, found)
  }
  return { devices, problems }
}

function filesIn(dir: string): string[] {
  try {
    const names = readdirSync(dir).filter((name) => /\.(?:json|ya?ml)$/.test(name))
    return names.sort().map((name) => join(dir, name))
  } catch {
    return []
  }
}

async function devicesIn(path: string): Promise<[string, Found][]> {
  const bytes = readFileSync(path)
  const spec = path.endsWith('.json') ? parseCdiSpec(bytes) : await parseCdiYaml(bytes)
  return spec.devices.map(({ name, containerEdits }) => [
    `${spec.kind}=${name}`,
    { spec, edits: containerEdits, path },
  ])
}

function unknown(name: string, { devices, problems }: Known, dirs: readonly string[]): DrayError {
  const names = [...devices.keys()].sort()
  const list = names.length === 0 ? `${dirs.join(' and ')} have none` : names.join(', ')
  const trouble = problems.map((problem) => `; not usable: ${problem}`).join('')
  return new DrayError('CDI_UNKNOWN', `no device is called ${name}. There are: ${list}${trouble}`)
}
