import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { describe, it, type TestContext } from 'node:test'
import { type ObjectStore, openObjectStore } from '#registry/storage/s3/object-store.ts'
import { startServer, type TestServer } from '../../support/http-server.ts'

/** A bucket that answers deletions with 200, and these errors in the body, one answer after the other; the last one goes on. */
async function openBucket(t: TestContext, answers: readonly string[]) {
  const asked: string[][] = []
  const server = await startServer(async (request, response) => {
    asked.push(
      [...(await text(request)).matchAll(/<Key>(.*?)<\/Key>/g)].map(([, key]) => key ?? ''),
    )
    const errors = answers[Math.min(asked.length, answers.length) - 1]
    response.writeHead(200, { 'content-type': 'application/xml' })
    response.end(`<?xml version="1.0"?><DeleteResult>${errors}</DeleteResult>`)
  })
  return { store: openStore(t, server), asked }
}

function openStore(t: TestContext, server: TestServer): ObjectStore {
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' }
  const options = { bucket: 'b', region: 'us-east-1', pathStyle: true, credentials }
  const store = openObjectStore({ ...options, endpoint: `http://${server.host}` })
  t.after(async () => {
    store.close()
    await server.close()
  })
  return store
}

const failed = (key: string) => `<Error>${key}<Code>InternalError</Code></Error>`

describe('a deletion of several objects that is answered with 200', () => {
  it('is asked again for the objects that the answer says were kept', async (t) => {
    const { store, asked } = await openBucket(t, [
      failed('<Key>b</Key>') + failed('<Key>c</Key>'),
      failed('<Key>c</Key>'),
      '',
    ])
    await store.delete(['a', 'b', 'c'])
    assert.deepEqual(asked, [['a', 'b', 'c'], ['b', 'c'], ['c']])
  })

  it('is asked again for all of them when the answer names none', async (t) => {
    const { store, asked } = await openBucket(t, [failed(''), ''])
    await store.delete(['a', 'b'])
    assert.deepEqual(asked, [
      ['a', 'b'],
      ['a', 'b'],
    ])
  })

  it('fails in the end, and is never taken for done', async (t) => {
    const { store, asked } = await openBucket(t, [failed('<Key>a</Key>')])
    await assert.rejects(store.delete(['a']), { code: 'STORAGE_FAILED' })
    assert.ok(asked.length > 1)
  })
})

describe('a list of objects that does not fit one answer', () => {
  /** A bucket that answers with these pages, and says what it was asked for. */
  async function openLists(t: TestContext, pages: readonly string[]) {
    const asked: (string | null)[][] = []
    const server = await startServer((request, response) => {
      const { searchParams } = new URL(request.url ?? '', 'http://x')
      const page = pages[Math.min(asked.length, pages.length - 1)]
      asked.push(['start-after', 'continuation-token'].map((name) => searchParams.get(name)))
      response.writeHead(200, { 'content-type': 'application/xml' })
      response.end(`<?xml version="1.0"?><ListBucketResult>${page}</ListBucketResult>`)
    })
    return { store: openStore(t, server), asked }
  }
  const page = (keys: string, next: string) =>
    [...keys].map((key) => `<Contents><Key>${key}</Key></Contents>`).join('') + next
  const more = '<IsTruncated>true</IsTruncated>'

  it('goes on where the server says', async (t) => {
    const token = '<NextContinuationToken>t</NextContinuationToken>'
    const { store, asked } = await openLists(t, [page('ab', more + token), page('c', '')])
    const entries = await store.list('', { limit: 10 })
    assert.deepEqual(
      entries.map(({ key }) => key),
      ['a', 'b', 'c'],
    )
    assert.deepEqual(asked, [
      [null, null],
      [null, 't'],
    ])
  })

  it('goes on after its last object where the server says only that there is more', async (t) => {
    const { store, asked } = await openLists(t, [page('ab', more), page('c', '')])
    const entries = await store.list('', { limit: 10, after: '0' })
    assert.deepEqual(
      entries.map(({ key }) => key),
      ['a', 'b', 'c'],
    )
    assert.deepEqual(asked, [
      ['0', null],
      ['b', null],
    ])
  })

  it('fails rather than end early, or never, where there is no way to go on', async (t) => {
    const { store, asked } = await openLists(t, [page('', more)])
    await assert.rejects(store.list('', { limit: 10 }), { code: 'STORAGE_FAILED' })
    assert.equal(asked.length, 1)
  })
})
