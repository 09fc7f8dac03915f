import type { TestContext } from 'node:test'
import { startServer, type TestServer } from './http-server.ts'
import type { SmallImage } from './small-image.ts'

export interface BlobServer extends TestServer {
  /** How often a blob or manifest was asked for, with GET. */
  gets(digest: string): number
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
): Promise<BlobServer> {
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
    return response.end(body)
  })
  t.after(() => server.close())
  const gets = (digest: string) =>
    server.requests.filter(({ method, url }) => method === 'GET' && url.endsWith(digest)).length
  return { ...server, gets }
}
