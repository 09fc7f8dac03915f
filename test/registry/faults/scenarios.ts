import { createHash } from 'node:crypto'
import {
  deleteBlob,
  deleteManifest,
  deleteTag,
  manifestOf,
  mountBlob,
  pushByPatches,
  pushByPost,
  pushByPut,
  pushManifest,
  type Scenario,
} from './pushes.ts'

/** The same bytes in every process. */
function bytesOf(seed: string, size: number): Buffer {
  return createHash('shake256', { outputLength: size }).update(seed).digest()
}

const config = bytesOf('config', 300)
const small = bytesOf('layer', 1000)
/** More than one object where parts are of 2 KiB. */
export const LARGE = bytesOf('large', 11 * 1024)

const blobs = [pushByPost('config', config), pushByPost('layer', small)]
const tagged = [...blobs, pushManifest('image', 'v1', [config, small])]
const image = manifestOf('image', [config, small])
const { given: source, change: mount } = mountBlob(small)

/** Every change that a client can make, from the states in which it takes different ways. */
export const SCENARIOS: readonly Scenario[] = [
  { given: [], change: pushByPost('a blob by POST', small) },
  { given: blobs, change: pushByPost('a blob that is there by POST', small) },
  { given: [], change: pushByPut('a blob by POST and PUT', small) },
  { given: [], change: pushByPatches('a blob by PATCH and PUT', LARGE, [LARGE.length]) },
  { given: blobs, change: pushByPatches('a blob that is there in chunks', small, [500, 500]) },
  { given: blobs, change: pushManifest('a manifest', 'v1', [config, small]) },
  { given: tagged, change: pushManifest('another manifest', 'v1', [config, small]) },
  { given: [source], change: mount },
  { given: tagged, change: deleteTag('v1') },
  { given: tagged, change: deleteManifest(image) },
  { given: blobs, change: deleteBlob(small) },
]

/** More that differ only where blobs are made of objects. */
export const SCENARIOS_OF_OBJECTS: readonly Scenario[] = [
  { given: [], change: pushByPost('a blob of several objects by POST', LARGE) },
  { given: [], change: pushByPut('a blob of several objects by POST and PUT', LARGE) },
  {
    given: [],
    change: pushByPatches('a blob in many chunks', small.subarray(0, 850), Array(17).fill(50)),
  },
]
