import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TestContext } from 'node:test'
import { startServer, type TestServer } from './http-server.ts'
import type { SmallImage } from './small-image.ts'

/** One request for bytes of a blob, as a fault sees it. */
export interface BlobRequest {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly content: Buffer
  /** What was asked for; the whole blob where no range was. */
  readonly start: number
  readonly end: number
  readonly isRanged: boolean
}

/** Answers a request its own way. */
export type Fault = (asked: BlobRequest) => unknown

export interface FaultRegistry extends TestServer {
  /** Bytes of layers sent so far. */
  sent(): number
}

/** What an honest registry answers. */
export function answerHonestly(asked: BlobRequest, content = asked.content): void {
  const { response, start, end } = asked
  writeHead(asked)
  response.end(content.subarray(start, end))
}

/** The head of an honest answer, with some headers other than honest. */
export function writeHead(
  { response, content, start, end, isRanged }: BlobRequest,
  headers: Readonly<Record<string, string | number | undefined>> = {},
): void {
  const all = {
    'content-length': end - start,
    ...(isRanged && { 'content-range': `bytes ${start}-${end - 1}/${content.length}` }),
    ...headers,
  }
  const given = Object.entries(all).filter(([, value]) => value !== undefined)
  response.writeHead(isRanged ? 206 : 200, Object.fromEntries(given) as Record<string, string>)
}

/**
 * A registry of one image that answers requests for layers as `faultOf` says, given how many there were before; undefined is an
 * honest answer.
 */
export async function startFaultRegistry(
  t: TestContext,
  image: SmallImage,
  faultOf: (count: number, asked: BlobRequest) => Fault | undefined,
): Promise<FaultRegistry> {
  const layers = new Set(image.layers.map(({ digest }) => digest as string))
  let count = 0
  let sent = 0
  const server = await startServer((request, response) => {
    const [, kind, selector = ''] = /\/(manifests|blobs)\/([^/?]+)/.exec(request.url ?? '') ?? []
    if (request.url === '/v2/') return response.writeHead(200).end()
    const digest =
      kind === 'manifests' && !selector.includes(':') ? image.manifest.digest : selector
    const content = image.blobs.get(digest)
    if (content === undefined) return response.writeHead(404).end()
    if (!layers.has(digest)) {
      response.writeHead(200, {
        'content-length': content.length,
        ...(kind === 'manifests' && {
          'content-type': image.manifest.mediaType,
          'docker-content-digest': digest,
        }),
      })
      return request.method === 'HEAD' ? response.end() : response.end(content)
    }
    const range = /^bytes=([0-9]+)-([0-9]+)$/.exec(request.headers.range ?? '')
    const start = Number(range?.[1] ?? 0)
    const end = Number(range?.[2] ?? content.length - 1) + 1
    const asked = { request, response, content, start, end, isRanged: range !== null }
    const before = request.socket.bytesWritten
    response.once('close', () => {
      sent += request.socket.bytesWritten - before
    })
    const fault = faultOf(count++, asked)
    return fault === undefined ? answerHonestly(asked) : void fault(asked)
  })
  t.after(() => server.close())
  return { ...server, sent: () => sent }
}
