import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandInput,
  ListPartsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { type Bucket, call, lookUp } from './bucket.ts'

export interface Part {
  readonly PartNumber: number
  readonly ETag: string
}

export interface MultipartEntry {
  readonly key: string
  readonly uploadId: string
  readonly started: Date
}

/** Objects that are written in parts and appear when they are completed. Every method may throw STORAGE_FAILED. */
export interface Multiparts {
  startMultipart(key: string): Promise<string>
  putPart(key: string, uploadId: string, number: number, bytes: Uint8Array): Promise<Part>
  completeMultipart(key: string, uploadId: string, parts: readonly Part[]): Promise<void>
  /** Drops all parts; success when there is no such upload. */
  abortMultipart(key: string, uploadId: string): Promise<void>
  /** Those that were begun and neither completed nor aborted. */
  listMultiparts(prefix: string): Promise<MultipartEntry[]>
  /** When the newest part of one was written, if it has any. */
  newestPart(key: string, uploadId: string): Promise<Date | undefined>
}

export function createMultiparts({ name: Bucket, client, sending }: Bucket): Multiparts {
  return {
    startMultipart: (key) =>
      call('start a multipart upload', async () => {
        const command = new CreateMultipartUploadCommand({ Bucket, Key: key })
        const { UploadId } = await client.send(command, sending)
        return given(UploadId, 'UploadId')
      }),
    putPart: (key, uploadId, number, bytes) =>
      call('write a part', async () => {
        const upload = { Bucket, Key: key, UploadId: uploadId }
        const command = new UploadPartCommand({ ...upload, PartNumber: number, Body: bytes })
        const { ETag } = await client.send(command, sending)
        return { PartNumber: number, ETag: given(ETag, 'ETag') }
      }),
    completeMultipart: (key, uploadId, parts) =>
      call('complete a multipart upload', async () => {
        const upload = { Bucket, Key: key, UploadId: uploadId }
        const MultipartUpload = { Parts: [...parts] }
        await client.send(
          new CompleteMultipartUploadCommand({ ...upload, MultipartUpload }),
          sending,
        )
      }),
    async abortMultipart(key, uploadId) {
      const upload = { Bucket, Key: key, UploadId: uploadId }
      const command = new AbortMultipartUploadCommand(upload)
      await lookUp('abort a multipart upload', () => client.send(command, sending))
    },
    listMultiparts: (Prefix) =>
      call('list multipart uploads', async () => {
        const entries: MultipartEntry[] = []
        let input: ListMultipartUploadsCommandInput | undefined = { Bucket, Prefix }
        while (input !== undefined) {
          const page = await listPage({ client, sending }, input)
          entries.push(...page.entries)
          input = page.next
        }
        return entries
      }),
    async newestPart(key, uploadId) {
      let newest: Date | undefined
      let PartNumberMarker: string | undefined
      do {
        const command = new ListPartsCommand({
          ...{ Bucket, Key: key, UploadId: uploadId },
          ...(PartNumberMarker === undefined ? {} : { PartNumberMarker }),
        })
        const page = await lookUp('list parts', () => client.send(command, sending))
        for (const { LastModified: modified } of page?.Parts ?? []) {
          if (modified !== undefined && (newest ?? modified) <= modified) newest = modified
        }
        PartNumberMarker = page?.IsTruncated ? page.NextPartNumberMarker : undefined
      } while (PartNumberMarker !== undefined)
      return newest
    },
  }
}

async function listPage(
  { client, sending }: Pick<Bucket, 'client' | 'sending'>,
  input: ListMultipartUploadsCommandInput,
): Promise<{ entries: MultipartEntry[]; next: ListMultipartUploadsCommandInput | undefined }> {
  const page = await client.send(new ListMultipartUploadsCommand(input), sending)
  const { Uploads = [], IsTruncated, NextKeyMarker, NextUploadIdMarker } = page
  const entries = Uploads.flatMap(({ Key, UploadId, Initiated = new Date() }) =>
    Key === undefined || UploadId === undefined
      ? []
      : [{ key: Key, uploadId: UploadId, started: Initiated }],
  )
  if (!IsTruncated || NextKeyMarker === undefined) return { entries, next: undefined }
  return {
    entries,
    next: { ...input, KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker },
  }
}

function given(value: string | undefined, name: string): string {
  if (value === undefined) throw new Error(`the answer has no ${name}`)
  return value
}
