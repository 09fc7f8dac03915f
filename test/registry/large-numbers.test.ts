import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import pLimit from 'p-limit'
import { type Digest, digestOf } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parseConfig, type Registry, startRegistry } from '#registry/index.ts'
import {
  createRegistryClient,
  nextPage,
  type RegistryClient,
} from '../contract/registry/fixture.ts'
import { inMemory } from '../support/closed-registry.ts'

/** One more than S3 has parts for, if each were one. */
const CHUNKS = 10_001
const REFERRERS = 10_000
const SUBJECT = digestOf('much referred to')
const RARE = 'application/x-rare'

describe('a registry', () => {
  let registry: Registry
  let client: RegistryClient
  before(async () => {
    const config = parseConfig({ env: {}, flags: { listen: '127.0.0.1:0' } })
    registry = await startRegistry(config, { storage: inMemory() })
    client = createRegistryClient([registry.url])
  })
  after(() => registry.close())

  it(`takes a blob in ${CHUNKS} chunks of a byte each`, async () => {
    const bytes = Buffer.from(Array.from({ length: CHUNKS }, (_, n) => n % 251))
    const location = await client.startUpload('chunks')
    for (let at = 0; at < CHUNKS; at++) {
      const headers = { 'content-range': `${at}-${at}` }
      const body = bytes.subarray(at, at + 1)
      await client.expect(202, 'PATCH', location, { body, headers })
    }
    const digest = digestOf(bytes)
    await client.expect(201, 'PUT', `${location}?digest=${digest}`)
    const { body } = await client.expect(200, 'GET', `/v2/chunks/blobs/${digest}`)
    assert.ok(bytes.equals(body))
  })

  it(`lists ${REFERRERS} referrers of one subject, each once, and those of a type alone`, async () => {
    const limit = pLimit(20)
    const isRare = (n: number) => n % 1000 === 0
    const pushed = await Promise.all(
      Array.from({ length: REFERRERS }, (_, n) =>
        limit(() => pushReferrer(client, n, isRare(n) ? RARE : 'application/x-common')),
      ),
    )
    const path = `/v2/referred/referrers/${SUBJECT}`
    assert.deepEqual(await follow(client, path), pushed.toSorted())
    const rare = pushed.filter((_, n) => isRare(n)).sort()
    assert.deepEqual(await follow(client, `${path}?artifactType=${RARE}`), rare)
    assert.deepEqual(await follow(client, `${path}?artifactType=none`), [])
  })
})

async function pushReferrer(client: RegistryClient, n: number, artifactType: string) {
  const bytes = Buffer.from(
    JSON.stringify({
      ...{ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [], artifactType },
      subject: { mediaType: MEDIA_TYPE.ociManifest, digest: SUBJECT, size: 1 },
      annotations: { number: String(n) },
    }),
  )
  const digest = digestOf(bytes)
  const { headers } = await client.expect(201, 'PUT', `/v2/referred/manifests/${digest}`, {
    body: bytes,
  })
  assert.equal(headers['oci-subject'], SUBJECT)
  return digest
}

/** The digests of all pages, in the order in which they come. */
async function follow(client: RegistryClient, first: string): Promise<Digest[]> {
  const seen: Digest[] = []
  for (let path: string | undefined = first; path !== undefined; ) {
    const answer = await client.expect(200, 'GET', path)
    const isFiltered = first.includes('artifactType')
    assert.equal(answer.headers['oci-filters-applied'], isFiltered ? 'artifactType' : undefined)
    for (const { digest } of JSON.parse(answer.body.toString()).manifests) seen.push(digest)
    path = nextPage(answer)
  }
  return seen
}
