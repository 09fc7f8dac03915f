import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { describe, it, type TestContext } from 'node:test'
import { openObjectStore } from '#registry/storage/s3/object-store.ts'
import { startServer } from '../../support/http-server.ts'

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
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' }
  const options = { bucket: 'b', region: 'us-east-1', pathStyle: true, credentials }
  const store = openObjectStore({ ...options, endpoint: `http://${server.host}` })
  t.after(async () => {
    store.close()
    await server.close()
  })
  return { store, asked }
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
