import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startServer, type TestServer } from './http-server.ts'
import type { SmallImage } from './small-image.ts'

const PIECE = 256 * 1024

export interface BlobServer extends TestServer {
  /** How often a blob or manifest was asked for, with GET. */
  gets(digest: string): number
  /** Bytes of bodies sent so far. */
  sent(): number
}

/** What to send for a digest instead of its content: other bytes, or nothing more than the first `cutAt` of them. */
export interface Spoiled {
  readonly bytes?: Buffer
  readonly cutAt?: number
}

/** Serves one image under any name, read-only, ranges included; for pulls of what no registry would take. */
export async function serveImage(
  t: TestContext,
  image: SmallImage,
  spoiled: Readonly<Record<string, Spoiled>> = {},
  { bytesPerSecond = Infinity }: { readonly bytesPerSecond?: number } = {},
): Promise<BlobServer> {
  let sent = 0
  async function* paced(body: Buffer) {
    for (let at = 0; at < body.length; at += PIECE) {
      const piece = body.subarray(at, at + PIECE)
      sent += piece.length
      yield piece
      if (bytesPerSecond < Infinity) await sleep((piece.length / bytesPerSecond) * 1000)
    }
  }
  const server = await startServer((request, response) => {
    const [, kind, selector = ''] = /\/(manifests|blobs)\/([^/]+)$/.exec(request.url ?? '') ?? []
    const digest =
      kind === 'manifests' && !selector.includes(':') ? image.manifest.digest : selector
    const { bytes = image.blobs.get(digest), cutAt } = spoiled[digest] ?? {}
    if (request.url === '/v2/') return response.writeHead(200).end()
    if (bytes === undefined) return response.writeHead(404).end()
    const headers =
      kind === 'manifests'
        ? { 'content-type': image.manifest.mediaType, 'docker-content-digest': digest }
        : {}
    const range = /^bytes=([0-9]+)-([0-9]+)$/.exec(request.headers.range ?? '')
    const body = range === null ? bytes : bytes.subarray(Number(range[1]), Number(range[2]) + 1)
    response.writeHead(range === null ? 200 : 206, {
      ...headers,
      'content-length': body.length,
      ...(range && { 'content-range': `bytes ${range[1]}-${range[2]}/${bytes.length}` }),
    })
    if (request.method === 'HEAD') return response.end()
    if (cutAt !== undefined)
      return response.write(body.subarray(0, cutAt), () => response.destroy())
    return pipeline(Readable.from(paced(body)), response).catch(() => undefined)
  })
  t.after(() => server.close())
  const gets = (digest: string) =>
    server.requests.filter(({ method, url }) => method === 'GET' && url.endsWith(digest)).length
  return { ...server, gets, sent: () => sent }
}
