import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { describe as describeBytes } from '#oci/descriptor.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parseRepositoryName } from '#oci/reference.ts'
import { openRepository } from '#puller/registry/client.ts'
import { createDirectReader } from '#puller/registry/direct.ts'
import { createConnections } from '#puller/transfer/connections.ts'
import { fetchBlob } from '#puller/transfer/fetch-blob.ts'
import type { BlobSink } from '#puller/transfer/range-writer.ts'
import { type ByteRange, mergeRanges, totalLength } from '#puller/transfer/ranges.ts'
import { startServer } from '../../support/http-server.ts'
import { tempDir } from '../../support/temp-dir.ts'

const RANGE_SIZE = 1000
const CONTENT = randomBytes(10 * RANGE_SIZE + 17)
const BLOB = describeBytes(MEDIA_TYPE.ociLayer, CONTENT)

function wantedRange(request: IncomingMessage): ByteRange | undefined {
  const [, start, last] = /^bytes=([0-9]+)-([0-9]+)$/.exec(request.headers.range ?? '') ?? []
  return start === undefined ? undefined : { start: Number(start), end: Number(last) + 1 }
}

/** What an honest registry answers. */
function serveHonestly(
  request: IncomingMessage,
  response: ServerResponse,
  content = CONTENT,
): void {
  const range = wantedRange(request)
  const body = range === undefined ? content : content.subarray(range.start, range.end)
  response.writeHead(range === undefined ? 200 : 206, {
    'content-length': body.length,
    ...(range && { 'content-range': `bytes ${range.start}-${range.end - 1}/${content.length}` }),
  })
  response.end(body)
}

interface Fetch {
  readonly answer?: (request: IncomingMessage, response: ServerResponse, count: number) => void
  readonly present?: ByteRange[]
}

async function fetchInto(t: TestContext, { answer, present = [] }: Fetch) {
  let count = 0
  const server = await startServer((request, response) => {
    if (request.url === '/v2/') return response.writeHead(200).end()
    return answer === undefined
      ? serveHonestly(request, response)
      : answer(request, response, count++)
  })
  t.after(() => server.close())
  const path = join(tempDir(t), 'data')
  const fd = openSync(path, 'w+')
  t.after(() => closeSync(fd))
  const completed: ByteRange[] = []
  let written: ByteRange[] = present
  const sink: BlobSink = {
    fd,
    present: () => written,
    wrote: (range) => {
      written = mergeRanges([...written, range])
    },
    completed: (range) => completed.push(range),
  }
  const client = await openRepository({
    registry: server.host,
    repository: parseRepositoryName('a/b'),
    access: 'pull',
  })
  const direct = createDirectReader(1000)
  t.after(() => direct.close())
  const notes: string[] = []
  const done = fetchBlob(client, BLOB, sink, {
    signal: new AbortController().signal,
    connections: createConnections({ maxConnections: 4, rangeSize: RANGE_SIZE }),
    direct,
    retry: { baseDelayMs: 1 },
    debug: (note) => notes.push(note),
  })
  const blobRequests = () => server.requests.filter(({ url }) => url.includes('/blobs/'))
  return {
    done,
    completed,
    blobRequests,
    notes,
    bytes: () => readFileSync(path),
    missing: () => BLOB.size - totalLength(written),
  }
}

describe('fetchBlob', () => {
  it('fetches closed ranges and puts each in its place', async (t) => {
    const { done, bytes, completed, blobRequests } = await fetchInto(t, {})
    await done
    assert.deepEqual(bytes(), CONTENT)
    assert.equal(totalLength(completed), BLOB.size)
    assert.equal(blobRequests().length, 11)
    assert.ok(
      blobRequests().every(({ headers }) => /^bytes=[0-9]+-[0-9]+$/.test(headers.range ?? '')),
    )
  })

  it('asks only for what is missing', async (t) => {
    const { done, blobRequests, missing } = await fetchInto(t, {
      present: [
        { start: 0, end: 4000 },
        { start: 5000, end: BLOB.size },
      ],
    })
    await done
    assert.deepEqual(
      blobRequests().map(({ headers }) => headers.range),
      ['bytes=4000-4999'],
    )
    assert.equal(missing(), 0)
  })

  it('takes the whole blob in one request from a registry that knows no ranges', async (t) => {
    const { done, bytes, blobRequests } = await fetchInto(t, {
      answer: (_request, response) =>
        response.writeHead(200, { 'content-length': CONTENT.length }).end(CONTENT),
    })
    await done
    assert.deepEqual(bytes(), CONTENT)
    assert.equal(blobRequests().length, 1)
  })

  it('asks for the rest of a range whose connection broke', async (t) => {
    const { done, bytes, blobRequests } = await fetchInto(t, {
      answer(request, response, count) {
        if (count !== 3) return serveHonestly(request, response)
        const range = wantedRange(request) ?? { start: 0, end: 0 }
        response.writeHead(206, {
          'content-length': range.end - range.start,
          'content-range': `bytes ${range.start}-${range.end - 1}/${CONTENT.length}`,
        })
        return response.write(CONTENT.subarray(range.start, range.start + 400), () =>
          response.destroy(),
        )
      },
    })
    await done
    assert.deepEqual(bytes(), CONTENT)
    assert.ok(blobRequests().some(({ headers }) => /^bytes=[0-9]+400-/.test(headers.range ?? '')))
  })

  it('waits for a registry that is started anew', async (t) => {
    const { done, bytes } = await fetchInto(t, {
      present: [{ start: 0, end: BLOB.size - 500 }],
      answer: (request, response, count) =>
        count < 6 ? request.socket.destroy() : serveHonestly(request, response),
    })
    await done
    assert.deepEqual(bytes().subarray(-500), CONTENT.subarray(-500))
  })

  it('survives errors that pass', async (t) => {
    const { done, bytes } = await fetchInto(t, {
      answer(request, response, count) {
        if (count === 1) return response.writeHead(503).end()
        if (count === 2) return response.writeHead(429, { 'retry-after': '0' }).end()
        return serveHonestly(request, response)
      },
    })
    await done
    assert.deepEqual(bytes(), CONTENT)
  })

  const LIES: readonly {
    readonly title: string
    readonly code: string
    readonly answer: Fetch['answer'] & {}
  }[] = [
    {
      title: 'that sends another range than asked for',
      code: 'CONTENT_MISMATCH',
      answer: (_request, response) =>
        response
          .writeHead(206, {
            'content-range': `bytes 1-1000/${CONTENT.length}`,
            'content-length': 1000,
          })
          .end(CONTENT.subarray(1, 1001)),
    },
    {
      title: 'whose blob has another size',
      code: 'CONTENT_MISMATCH',
      answer: (request, response) =>
        serveHonestly(request, response, Buffer.concat([CONTENT, CONTENT])),
    },
    {
      title: 'that compresses on its own',
      code: 'CONTENT_MISMATCH',
      answer: (_request, response) =>
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(CONTENT),
    },
    {
      title: 'that sends more than it announced',
      code: 'CONTENT_MISMATCH',
      answer: (request, response) => {
        const { start, end } = wantedRange(request) ?? { start: 0, end: 0 }
        response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${CONTENT.length}` })
        response.end(Buffer.alloc(end - start + 1))
      },
    },
    {
      title: 'that always fails',
      code: 'REGISTRY_FAILED',
      answer: (_request, response) => response.writeHead(500).end(),
    },
    {
      title: 'that has no such blob',
      code: 'REGISTRY_FAILED',
      answer: (_request, response) => response.writeHead(404).end(),
    },
  ]
  for (const { title, code, answer } of LIES) {
    it(`gives up on a registry ${title}`, async (t) => {
      const { done, completed } = await fetchInto(t, { answer })
      await assert.rejects(done, { code })
      assert.equal(completed.length, 0)
    })
  }
})
