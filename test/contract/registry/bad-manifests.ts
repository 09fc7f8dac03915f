import { digestOf } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'

const DIGEST = digestOf('never pushed')
const MD5 = `md5:${'0'.repeat(32)}`

/** Each is refused with 400 and this code as a manifest, whatever the repository holds. */
export const BAD_MANIFESTS: readonly [string, (good: Manifest) => object | string, string?][] = [
  ['is empty', () => ''],
  ['is null', () => 'null'],
  ['is a string', () => '"manifest"'],
  ['is not UTF-8', () => '{"schemaVersion":2,"x":"\xff'],
  ['has bytes after its end', (good) => `${JSON.stringify(good)}x`],
  ['begins with a byte order mark', (good) => `\ufeff${JSON.stringify(good)}`],
  ['is of schema 1', (good) => ({ ...good, schemaVersion: 1 })],
  ['has no schema version', (good) => ({ ...good, schemaVersion: undefined })],
  ['has a schema version in quotes', (good) => ({ ...good, schemaVersion: '2' })],
  ['has a name twice', (good) => JSON.stringify(good).replace('{', '{"schemaVersion":2,')],
  ['has layers and manifests', (good) => ({ ...good, manifests: [] })],
  ['has neither', () => ({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociManifest })],
  ['has no config', (good) => ({ ...good, config: undefined })],
  ['has a config of null', (good) => ({ ...good, config: null })],
  ['has layers that are no list', (good) => ({ ...good, layers: good.layers[0] })],
  ['calls itself an index', (good) => ({ ...good, mediaType: MEDIA_TYPE.ociIndex })],
  ['has a media type that is none', (good) => ({ ...good, mediaType: 'not a type' })],
  ['has a size below 0', (good) => withLayer(good, { size: -1 })],
  ['has a size that is no integer', (good) => withLayer(good, { size: 1.5 })],
  ['has a size past 2^53', (good) => withLayer(good, { size: 2 ** 60 })],
  ['has a size in quotes', (good) => withLayer(good, { size: '7' })],
  ['has no size', (good) => withLayer(good, { size: undefined })],
  ['has a digest that is none', (good) => withLayer(good, { digest: 'sha256:x' })],
  ['has a digest that is a path', (good) => withLayer(good, { digest: 'sha256:../../x' })],
  ['has a digest of another algorithm', (good) => withLayer(good, { digest: MD5 })],
  ['has a subject that is none', (good) => ({ ...good, subject: { digest: DIGEST } })],
  ['has a subject of another algorithm', (good) => withSubject(good, MD5)],
  ['has annotations that are no strings', (good) => ({ ...good, annotations: { a: 1 } })],
  ['is nested deeply', () => '['.repeat(100_000)],
  ['is nested deeply within an unknown field', (good) => nested(good)],
  ['lacks a layer', (good) => withLayer(good, { digest: DIGEST }), 'MANIFEST_BLOB_UNKNOWN'],
  [
    'is an index of itself',
    () => ({
      ...{ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex },
      manifests: [{ mediaType: MEDIA_TYPE.ociIndex, digest: DIGEST, size: 1 }],
    }),
    'MANIFEST_BLOB_UNKNOWN',
  ],
]

/** An image manifest that would be taken. */
export interface Manifest {
  readonly layers: readonly object[]
}

function withLayer(good: Manifest, fields: object): object {
  return { ...good, layers: [{ ...good.layers[0], ...fields }] }
}

function withSubject(good: Manifest, digest: string): object {
  return { ...good, subject: { mediaType: MEDIA_TYPE.ociManifest, digest, size: 1 } }
}

function nested(good: Manifest): string {
  const deep = `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`
  return JSON.stringify({ ...good, deep: 0 }).replace('"deep":0', `"deep":${deep}`)
}
