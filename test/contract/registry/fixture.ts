import assert from 'node:assert/strict'
import { type Digest, digestOf } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import type { ConfigDocument } from '#registry/index.ts'
import {
  type Answer,
  createSender,
  errorCode,
  type RequestOptions,
  type Send,
} from '../../support/http.ts'

/** A registry under test: one server, or several replicas of one storage. */
export interface RegistryFixture {
  readonly urls: readonly string[]
  /** Names of everything that the storage holds. */
  contents(): Promise<readonly string[]>
  stop(): Promise<void>
}

/** Starts an empty registry of the given configuration. */
export type StartRegistry = (flags?: ConfigDocument) => Promise<RegistryFixture>

/** What tests do with a registry, each request on the next replica. */
export interface RegistryClient {
  readonly send: Send
  /** Sends, and asserts on the status; the error code, too, if one is named. */
  expect(
    status: number,
    method: string,
    path: string,
    options?: RequestOptions & { readonly code?: string },
  ): Promise<Answer>
  /** Starts an upload and returns its location. */
  startUpload(name: string): Promise<string>
  pushBlob(name: string, bytes: Buffer | string): Promise<Digest>
  /** Pushes an image of one layer with a config, both made of `seed`. */
  pushImage(
    name: string,
    reference: string | undefined,
    seed: string,
    fields?: object,
  ): Promise<PushedImage>
}

export interface PushedImage {
  readonly digest: Digest
  readonly bytes: Buffer
  readonly layer: Digest
  readonly config: Digest
}

/** `headers` go with each request. */
export function createRegistryClient(
  urls: readonly string[],
  headers: Readonly<Record<string, string>> = {},
): RegistryClient {
  const sender = createSender(urls)
  const send: Send = (method, path, options = {}) =>
    sender(method, path, { ...options, headers: { ...headers, ...options.headers } })
  const client: RegistryClient = {
    send,
    async expect(status, method, path, options = {}) {
      const answer = await send(method, path, options)
      const { body } = answer
      assert.equal(
        answer.status,
        status,
        `${method} ${path}: ${answer.status} ${body.subarray(0, 500)}`,
      )
      if (options.code !== undefined) assert.equal(errorCode(answer), options.code)
      return answer
    },
    async startUpload(name) {
      const { headers } = await client.expect(202, 'POST', `/v2/${name}/blobs/uploads/`)
      return headers.location ?? ''
    },
    async pushBlob(name, bytes) {
      const body = Buffer.from(bytes)
      const digest = digestOf(body)
      await client.expect(201, 'POST', `/v2/${name}/blobs/uploads/?digest=${digest}`, { body })
      return digest
    },
    async pushImage(name, reference, seed, fields = {}) {
      const layer = await client.pushBlob(name, `layer ${seed}`)
      const config = await client.pushBlob(name, `config ${seed}`)
      const bytes = Buffer.from(JSON.stringify({ ...imageManifest(seed), ...fields }))
      const digest = digestOf(bytes)
      await client.expect(201, 'PUT', `/v2/${name}/manifests/${reference ?? digest}`, {
        body: bytes,
        headers: { 'content-type': MEDIA_TYPE.ociManifest },
      })
      return { digest, bytes, layer, config }
    },
  }
  return client
}

/** The manifest that `pushImage` pushes. */
export function imageManifest(seed: string): object {
  return {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    config: descriptorOf(MEDIA_TYPE.ociConfig, `config ${seed}`),
    layers: [descriptorOf(MEDIA_TYPE.ociLayerGzip, `layer ${seed}`)],
  }
}

export function descriptorOf(mediaType: string, content: string | Buffer): object {
  const bytes = Buffer.from(content)
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}

/** Where the `Link` of an answer leads. */
export function nextPage({ headers }: Answer): string | undefined {
  return /^<(.+)>; rel="next"$/.exec(String(headers.link ?? ''))?.[1]
}
