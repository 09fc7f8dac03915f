import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { type BucketOptions, clientConfig } from './bucket.ts'

export interface PresignOptions extends BucketOptions {
  /** URL of the server as clients reach it; default: as the registry does. */
  readonly publicEndpoint?: string | undefined
  /** How long a signed URL is good for; rounded up to seconds. */
  readonly redirectTtlMs: number
  /** Smaller blobs get no URL. */
  readonly redirectMinBytes: number
}

/** Makes URLs by which whoever holds one may read one object for a while. It carries a signature, never a secret. */
export interface Presigner {
  /** Smaller blobs are not worth a URL. */
  readonly minBytes: number
  sign(key: string): Promise<string>
  close(): void
}

/** Signs without asking the server: the name and port in the URL are part of what is signed. */
export function createPresigner(options: PresignOptions): Presigner {
  const { bucket, publicEndpoint, endpoint, redirectTtlMs, redirectMinBytes } = options
  const client = new S3Client(clientConfig({ ...options, endpoint: publicEndpoint ?? endpoint }))
  const expiresIn = Math.ceil(redirectTtlMs / 1000)
  return {
    minBytes: redirectMinBytes,
    sign: (key) =>
      getSignedUrl(client, new GetObjectCommand({ Bucket: bucket, Key: key }), { expiresIn }),
    close: () => client.destroy(),
  }
}
