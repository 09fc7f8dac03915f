import { randomInt } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { DrayError, isErrno } from '#oci/error.ts'
import { exclusively } from '../file-lock.ts'
import { containerPaths, containersDir, namesDir } from '../layout.ts'

/** Docker's rule. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/
const NAME_LIMIT = 200
const ATTEMPTS = 32

const FIRST = [
  'amber brave brisk calm clear clever cosy crisp dapper eager early fair fleet fresh frosty gentle glad golden',
  'grand green happy hardy honest humble jolly keen kind late light lively lucid lucky mellow merry mild misty neat',
  'nimble noble plain proud quick quiet rapid ready rustic sharp shiny silent silver smart snowy solid steady still',
  'sunny swift tidy true vivid warm wary white wild wise witty young',
].flatMap((line) => line.split(' '))
const SECOND = [
  'axle barge beacon birch bridge brook buoy canal cargo cart cedar cliff coach cove crane creek delta dock dune',
  'ferry field finch fjord ford forge garden gate glen grove gull harbour haven heron hill horse island jetty keel',
  'kite lagoon lake lark lever linden lock maple marsh mast meadow mill moor oak oar otter path pier pine plough pond',
  'port quay raft rail reef ridge river road sail sled spruce stone stork stream tide tower track vale wagon wharf',
  'wheel willow winch wren',
].flatMap((line) => line.split(' '))

/** @throws USAGE for what can't be the name of a container */
export function checkName(name: string): void {
  if (NAME.test(name) && name.length <= NAME_LIMIT) return
  const rule = `two to ${NAME_LIMIT} of letters, digits, _ . and -, a letter or digit first`
  throw new DrayError('USAGE', `invalid container name ${JSON.stringify(name)}: ${rule}`)
}

/**
 * Gives a container its name, or one that is made up. A name whose container is gone is free.
 *
 * @throws NAME_TAKEN
 */
export function takeName(root: string, id: string, wanted: string | undefined): string {
  mkdirSync(namesDir(root), { recursive: true, mode: 0o700 })
  if (wanted !== undefined) {
    checkName(wanted)
    const other = tryName(root, id, wanted)
    if (other === undefined) return wanted
    throw new DrayError(
      'NAME_TAKEN',
      `the name ${wanted} is that of container ${other.slice(0, 12)}: remove or rename that one, or take another name`,
    )
  }
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const name = `${pick(FIRST)}_${pick(SECOND)}${attempt === 0 ? '' : randomInt(100)}`
    if (tryName(root, id, name) === undefined) return name
  }
  throw new DrayError('NAME_TAKEN', 'no free name was found: give one with --name')
}

/** Lets go of a name, if it is this container's. */
export function dropName(root: string, id: string, name: string): void {
  if (idOfName(root, name) === id) unlinkSync(join(namesDir(root), name))
}

/** Lets go of the names of containers whose removal was cut off. */
export function dropDeadNames(root: string): void {
  const dir = namesDir(root)
  const dead = () => readdirSync(dir).filter((name) => isDead(root, name))
  if (!existsSync(dir) || dead().length === 0) return
  exclusively(join(dir, '.lock'), () => {
    for (const name of dead()) unlinkSync(join(dir, name))
  })
}

function isDead(root: string, name: string): boolean {
  const id = idOfName(root, name)
  return id !== undefined && !existsSync(containerPaths(containersDir(root), id).dir)
}

/** The id that a name stands for; undefined when there is no such name. The container may be gone. */
export function idOfName(root: string, name: string): string | undefined {
  if (!NAME.test(name)) return undefined
  try {
    return readlinkSync(join(namesDir(root), name))
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EINVAL')) return undefined
    throw error
  }
}

/** @returns the id of the container that has the name, or undefined when `id` has it now */
function tryName(root: string, id: string, name: string): string | undefined {
  const path = join(namesDir(root), name)
  if (link(id, path)) return undefined
  // Only under the lock is a name taken from a container that is gone, so that of two who see it one gets it.
  return exclusively(join(namesDir(root), '.lock'), () => {
    const other = idOfName(root, name)
    if (other !== undefined && !isDead(root, name)) return other
    if (other !== undefined) unlinkSync(path)
    return link(id, path) ? undefined : idOfName(root, name)
  })
}

function link(id: string, path: string): boolean {
  try {
    symlinkSync(id, path)
    return true
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false
    throw error
  }
}

function pick(words: readonly string[]): string {
  return words[randomInt(words.length)] ?? ''
}
