import { createHash } from 'node:crypto'
import { type Body, Connection, headerOf } from './connection.ts'

export const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const CONFIG = 'application/vnd.oci.image.config.v1+json'
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'

export interface Blob extends Body {
  readonly digest: string
}

/** A blob that is one block over and over. */
export function repeated(block: Uint8Array, size: number): Blob {
  const hash = createHash('sha256')
  for (let left = size; left > 0; left -= block.length) {
    hash.update(left >= block.length ? block : block.subarray(0, left))
  }
  return { block, size, digest: `sha256:${hash.digest('hex')}` }
}

/** Pushes a blob as docker does: POST, one streamed PATCH, PUT. */
export async function pushBlob(connection: Connection, name: string, blob: Blob): Promise<void> {
  await finishPush(connection, await sendBlob(connection, name, blob), blob)
}

/** All of a push but its end; returns where the upload is. */
export async function sendBlob(connection: Connection, name: string, blob: Blob): Promise<string> {
  const session = await connection.send({ method: 'POST', path: `/v2/${name}/blobs/uploads/` })
  const headers = { 'Content-Type': 'application/octet-stream' }
  const path = pathOf(headerOf(session, 'location'))
  const sent = await connection.send({ method: 'PATCH', path, headers, body: blob })
  return pathOf(headerOf(sent, 'location'))
}

/** The PUT that makes an upload a blob. */
export async function finishPush(
  connection: Connection,
  location: string,
  { digest }: Blob,
): Promise<void> {
  const separator = location.includes('?') ? '&' : '?'
  await connection.send({ method: 'PUT', path: `${location}${separator}digest=${digest}` })
}

/** Pushes an image of one layer. */
export async function pushImage(
  port: number,
  name: string,
  tag: string,
  layer: Blob,
): Promise<void> {
  const connection = await Connection.open(port)
  const config = repeated(Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{}}'), 49)
  for (const blob of [config, layer]) await pushBlob(connection, name, blob)
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: { mediaType: CONFIG, digest: config.digest, size: config.size },
      layers: [{ mediaType: LAYER, digest: layer.digest, size: layer.size }],
    }),
  )
  await connection.send({
    method: 'PUT',
    path: `/v2/${name}/manifests/${tag}`,
    headers: { 'Content-Type': MANIFEST },
    body: { block: manifest, size: manifest.length },
  })
  connection.close()
}

function pathOf(location: string): string {
  const url = new URL(location, 'http://localhost')
  return url.pathname + url.search
}
